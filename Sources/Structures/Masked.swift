import Arrays
import Devices

/// Dense storage under a fixed random mask: a simulation, for losses and not for speed.
///
///     W[o, i] = values[o, i]   where the mask is set,  else 0
///
/// Everything is stored and multiplied, the zeros too, as in most published sparse training; every table says "simulated"
/// beside it. It loses what `csr` of the same density loses, and shows what that costs without sparse kernels.
/// - Values: `values` [O, I]; indices 4 (weights in the mask + O + 1) bytes. 2 T O I flops; nothing saved.
/// - Not representable when d O I < 1.
public struct Masked: Structure {
  public static let card = Card(
    family: "masked", grammar: "masked", summary: "dense storage, fixed random mask (simulated: no gain in time)",
    formula: "W = mask * v", stored: "O I", densities: "any", densityIsFree: true,
    source: "the usual simulation, for example Evci et al. 2020 (arXiv 1911.11134)", isSimulated: true)

  public let shape: Shape
  private let mask: CompressedRows
  private let grid: BlockGrid
  private let expansion: Expansion
  public var label: String { "masked" }
  public var pattern: Pattern { Pattern(["rowStart": mask.rowStart, "column": mask.column]) }
  public var density: Double { Double(mask.count) / Double(shape.count) }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [Masked] {
    members([""], of: shape, density: density, seed: seed)
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    let places = try Self.randomPlaces(parameters, shape, density, seed)
    self.init(shape: shape, mask: .at(places, of: shape))
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    try Self.requireNoParameters(parameters)
    self.init(shape: shape, mask: try CompressedRows(pattern, of: shape))
  }

  private init(shape: Shape, mask: CompressedRows) {
    self.shape = shape
    self.mask = mask
    grid = .dense(outputs: shape.outputs, inputs: shape.inputs)
    var index = [Int32](repeating: Expansion.zero, count: shape.count)
    for row in 0..<shape.outputs {
      for column in mask.columns(in: row) {
        let place = row * shape.inputs + Int(column)
        index[place] = Int32(place)
      }
    }
    expansion = Expansion(values: shape.count, index: index)
  }

  public var layout: [TensorLayout] {
    [
      TensorLayout(
        name: "values", shape: [shape.outputs, shape.inputs], offset: 0,
        learningRateScale: LearningRateRule.masked(density: density))
    ]
  }

  public func materialize(_ values: [Float]) -> [Double] {
    var dense = [Double](repeating: 0, count: shape.count)
    for row in 0..<shape.outputs {
      for column in mask.columns(in: row) {
        let place = row * shape.inputs + Int(column)
        dense[place] = Double(values[place])
      }
    }
    return dense
  }

  /// N(0, gain^2 / weights of the row in the mask); zero outside.
  public func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float] {
    var values = [Float](repeating: 0, count: shape.count)
    for row in 0..<shape.outputs {
      let columns = mask.columns(in: row)
      let deviation = gain / Double(max(1, columns.count)).squareRoot()
      for column in columns { values[row * shape.inputs + Int(column)] = Float(deviation * generator.normal()) }
    }
    return values
  }

  /// The matrix's own entries in the mask; zero outside.
  public func project(_ dense: [Double]) -> [Float] { materialize(dense.map(Float.init)).map(Float.init) }

  /// The mask of the greatest scores.
  public func repatterned(for scores: [Double]) -> Masked {
    let best = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }.prefix(mask.count).sorted()
    return Masked(shape: shape, mask: .at(best, of: shape))
  }

  public var liveOutputs: [Bool] { (0..<shape.outputs).map { !mask.columns(in: $0).isEmpty } }
  public var liveInputs: [Bool] { (0..<shape.inputs).map { mask.columnStart[$0] < mask.columnStart[$0 + 1] } }

  public func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device
  ) throws {
    try device.withScratch(count: shape.count) { masked in
      try device.expand(expansion, values, into: masked)
      try device.multiply(grid, masked, x, into: y, accumulate: accumulate)
    }
  }

  public func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device
  ) throws {
    try device.withScratch(count: shape.count) { scratch in
      if let dx {
        try device.expand(expansion, values, into: scratch)
        try device.multiplyTransposed(grid, scratch, dy, into: dx, accumulate: accumulate)
      }
      if let dvalues {
        try device.clear(scratch)
        try device.accumulateGradient(grid, dy: dy, x: x, into: scratch)
        try device.accumulateExpansionGradient(expansion, scratch, into: dvalues)
      }
    }
  }
}
