import Arrays
import Devices
import Foundation

/// Circulant blocks of side G, multiplied where they are nearly diagonal: in a real Fourier basis.
///
///     W[p G + a, q G + b] = c_pq[(a - b) mod G],     W = H' S H on the blocks,     p < O/G,  q < I/G
///
/// The rows of H [G, G] are orthonormal: the constant, cosine and sine of each frequency k < G/2, and for even G the
/// alternating row. There a circulant block has its eigenvalues on the diagonal and, for each frequency, a pair
///
///     [a, -b; b, a],    a = sum over s of c[s] cos(2 pi k s / G),    b = the same with the sine
///
/// and the product is, coordinate by coordinate, a small dense matrix over the blocks: grids, with tied values.
/// - Values: `spectrum` [G, O/G, I/G], the numbers a and b; no indices. Density 1/G; flops 2 T (G I + n O I / G^2 + G O)
///   forward, n = 2 G - 2 for even G and 2 G - 1 for odd; saved: H x [T, I].
/// - Not representable unless G divides both sides: weights tied to padding would have no best projection.
public struct Circulant: GroupedStructure, FixedStructure {
  public static let card = Card(
    family: "circulant", grammar: "circulant-G", summary: "circulant blocks of side G, in a real Fourier basis",
    formula: "W[pG+a, qG+b] = c_pq[(a-b) mod G]", stored: "O I / G", densities: "1/G", densityIsFree: false,
    source: "structured transforms, Sindhwani et al. 2015 (arXiv 1510.01722); here by blocks")

  public let shape: Shape
  private let side: Int
  /// H on every block of the inputs, and of the outputs.
  private let inputBasis: BlockGrid
  private let outputBasis: BlockGrid
  private let spectrum: BlockGrid
  private let tied: Expansion
  public var label: String { "circulant-\(side)" }
  public var savedFeatures: Int { shape.inputs }

  public static func paddedShape(parameters: String, shape: Shape) throws -> Shape { shape }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [Circulant] {
    fewestGroups(of: shape, density: density)
  }

  public init(parameters: String, shape: Shape) throws {
    let side = try Self.groups(parameters, shape)
    let across = shape.inputs / side, down = shape.outputs / side
    func basis(_ blocks: Int) -> BlockGrid {
      .diagonal(
        outputs: .contiguous(groups: blocks, members: side), inputs: .contiguous(groups: blocks, members: side))
    }
    self.shape = shape
    self.side = side
    inputBasis = basis(across)
    outputBasis = basis(down)
    let entries = Self.entries(side)
    spectrum = try BlockGrid(
      outputs: .strided(groups: side, members: down), inputs: .strided(groups: side, members: across),
      rowStart: (0...side).map { row in Int32(entries.prefix { $0.row < row }.count) },
      column: entries.map { Int32($0.column) })
    let block = down * across
    tied = Expansion(
      values: side * block,
      index: entries.flatMap { entry in
        (0..<block).map { place in
          let value = Int32(entry.value * block + place)
          return entry.isNegative ? ~value : value
        }
      })
  }

  /// The entries of S within a block, in row order: which of the G numbers stands where.
  private static func entries(_ side: Int) -> [(row: Int, column: Int, value: Int, isNegative: Bool)] {
    (0..<side).flatMap { row -> [(row: Int, column: Int, value: Int, isNegative: Bool)] in
      switch coordinate(row, side) {
      case .constant, .alternating: return [(row, row, row, false)]
      case .cosine: return [(row, row, row, false), (row, row + 1, row + 1, true)]
      case .sine: return [(row, row - 1, row, false), (row, row, row - 1, false)]
      }
    }
  }

  private enum Coordinate {
    case constant, alternating
    case cosine(Int)
    case sine(Int)
  }

  /// Coordinate 0 is the constant, 2 k - 1 and 2 k are cosine and sine of frequency k, the last of an even G alternates.
  private static func coordinate(_ index: Int, _ side: Int) -> Coordinate {
    if index == 0 { return .constant }
    if side.isMultiple(of: 2) && index == side - 1 { return .alternating }
    return index.isMultiple(of: 2) ? .sine(index / 2) : .cosine((index + 1) / 2)
  }

  /// The row `index` of H at place s, but for its length: 1, cos, sin or (-1)^s.
  private static func wave(_ index: Int, _ s: Int, _ side: Int) -> Double {
    func angle(_ k: Int) -> Double { 2 * .pi * Double(k * s % side) / Double(side) }
    switch coordinate(index, side) {
    case .constant: return 1
    case .alternating: return s.isMultiple(of: 2) ? 1 : -1
    case .cosine(let k): return cos(angle(k))
    case .sine(let k): return sin(angle(k))
    }
  }

  /// The square of the length of that row: G for the two real ones, G/2 for cosine and sine.
  private static func squaredLength(_ index: Int, _ side: Int) -> Double {
    switch coordinate(index, side) {
    case .constant, .alternating: Double(side)
    case .cosine, .sine: Double(side) / 2
    }
  }

  /// H, once for each of `blocks` blocks.
  private func table(_ blocks: Int, on device: some Device) throws -> Vector {
    let side = side
    return try device.constant("real Fourier basis \(side), \(blocks) times") {
      let one = (0..<side).flatMap { row in
        let length = Self.squaredLength(row, side).squareRoot()
        return (0..<side).map { Float(Self.wave(row, $0, side) / length) }
      }
      return (0..<blocks).flatMap { _ in one }
    }
  }

  public var layout: [TensorLayout] {
    [
      TensorLayout(
        name: "spectrum", shape: [side, shape.outputs / side, shape.inputs / side], offset: 0,
        learningRateScale: LearningRateRule.factor(
          denseInputs: shape.inputs, blockInputs: min(2, side) * shape.inputs / side, factors: 1))
    ]
  }

  public func cost(tokens: Int) -> Cost {
    let bases = 2 * tokens * side * (shape.inputs + shape.outputs), middle = 2 * tokens * spectrum.count
    return Cost(
      flops: bases + middle, backwardFlops: bases + 2 * middle, valueBytes: 4 * count, indexBytes: 0,
      activationBytes: 4 * tokens * (shape.outputs + shape.inputs), savedBytes: 4 * tokens * savedFeatures)
  }

  /// c[s] = sum over coordinates j of value_j wave_j(s) / |wave_j|^2, and the block from it.
  public func materialize(_ values: [Float]) -> [Double] {
    let across = shape.inputs / side, block = shape.outputs / side * across
    let waves = (0..<side).map { s in
      (0..<side).map { Self.wave($0, s, side) / Self.squaredLength($0, side) }
    }
    var dense = [Double](repeating: 0, count: shape.count)
    for place in 0..<block {
      let c = (0..<side).map { s in
        (0..<side).reduce(0.0) { $0 + Double(values[$1 * block + place]) * waves[s][$1] }
      }
      let (p, q) = place.quotientAndRemainder(dividingBy: across)
      for a in 0..<side {
        for b in 0..<side { dense[(p * side + a) * shape.inputs + q * side + b] = c[(a - b + side) % side] }
      }
    }
    return dense
  }

  /// |H'| |S| |H|: what the products' partial sums are bounded by.
  public func absolute(_ values: [Float]) -> [Double] {
    let across = shape.inputs / side, block = shape.outputs / side * across, entries = Self.entries(side)
    let h = (0..<side).map { row in
      (0..<side).map { abs(Self.wave(row, $0, side)) / Self.squaredLength(row, side).squareRoot() }
    }
    var bound = [Double](repeating: 0, count: shape.count)
    for place in 0..<block {
      let (p, q) = place.quotientAndRemainder(dividingBy: across)
      for entry in entries {
        let size = abs(Double(values[entry.value * block + place]))
        for a in 0..<side {
          let factor = size * h[entry.row][a], row = (p * side + a) * shape.inputs + q * side
          for b in 0..<side { bound[row + b] += factor * h[entry.column][b] }
        }
      }
    }
    return bound
  }

  /// c of independent N(0, gain^2 / I): a number's variance is that times |wave|^2.
  public func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float] {
    let block = shape.count / (side * side)
    return (0..<side).flatMap { index in
      let deviation = gain * (Self.squaredLength(index, side) / Double(shape.inputs)).squareRoot()
      return (0..<block).map { _ in Float(deviation * generator.normal()) }
    }
  }

  /// The nearest circulant block has the means of the wrapped diagonals; its numbers are their transform.
  public func project(_ dense: [Double]) -> [Float] {
    let across = shape.inputs / side, block = shape.outputs / side * across
    var values = [Float](repeating: 0, count: count)
    for place in 0..<block {
      let (p, q) = place.quotientAndRemainder(dividingBy: across)
      let c = (0..<side).map { s in
        (0..<side).reduce(0.0) { sum, b in
          sum + dense[(p * side + (b + s) % side) * shape.inputs + q * side + b]
        } / Double(side)
      }
      for index in 0..<side {
        values[index * block + place] = Float((0..<side).reduce(0.0) { $0 + c[$1] * Self.wave(index, $1, side) })
      }
    }
    return values
  }

  public func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device
  ) throws {
    guard let z = saved else { preconditionFailure("a circulant product keeps its transformed inputs") }
    try device.multiply(inputBasis, table(shape.inputs / side, on: device), x, into: z, accumulate: false)
    try device.withScratch(count: tied.count) { expanded in
      try device.expand(tied, values, into: expanded)
      try device.withScratch(tokens: x.tokens, features: shape.outputs) { transformed in
        try device.multiply(spectrum, expanded, z, into: transformed, accumulate: false)
        try device.multiplyTransposed(
          outputBasis, table(shape.outputs / side, on: device), transformed, into: y, accumulate: accumulate)
      }
    }
  }

  /// H is orthonormal and fixed: dz' = H dy,  dS = dz' z',  dz = S' dz',  dx = H' dz.
  public func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device
  ) throws {
    guard let z = saved else { preconditionFailure("a circulant product keeps its transformed inputs") }
    try device.withScratch(tokens: dy.tokens, features: shape.outputs) { transformed in
      try device.multiply(
        outputBasis, table(shape.outputs / side, on: device), dy, into: transformed, accumulate: false)
      try device.withScratch(count: tied.count) { expanded in
        if let dx {
          try device.expand(tied, values, into: expanded)
          try device.withScratch(tokens: dy.tokens, features: shape.inputs) { dz in
            try device.multiplyTransposed(spectrum, expanded, transformed, into: dz, accumulate: false)
            try device.multiplyTransposed(
              inputBasis, table(shape.inputs / side, on: device), dz, into: dx, accumulate: accumulate)
          }
        }
        if let dvalues {
          try device.clear(expanded)
          try device.accumulateGradient(spectrum, dy: transformed, x: z, into: expanded)
          try device.accumulateExpansionGradient(tied, expanded, into: dvalues)
        }
      }
    }
  }
}
