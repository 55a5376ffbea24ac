import Arrays
import Devices

/// A structure that is a product of two grids, W = second first, through `savedFeatures` inner features.
///
///     z = first x,   y = second z;    dz = second' dy,   dx = first' dz,   dsecond += dy z',   dfirst += dz x'
protocol FactorisedStructure: Structure {
  var first: BlockGrid { get }
  var second: BlockGrid { get }
  /// Names of the two tensors.
  var factorNames: (first: String, second: String) { get }
}

extension FactorisedStructure {
  public var savedFeatures: Int { first.outputs.features }

  public var layout: [TensorLayout] {
    func tensor(_ name: String, _ grid: BlockGrid, _ offset: Int) -> TensorLayout {
      TensorLayout(
        name: name, shape: [grid.blocks, grid.outputs.members, grid.inputs.members], offset: offset,
        learningRateScale: LearningRateRule.factor(
          denseInputs: shape.inputs, blockInputs: grid.inputs.members, factors: 2))
    }
    return [tensor(factorNames.first, first, 0), tensor(factorNames.second, second, first.count)]
  }

  private func parts(_ values: Vector) -> (first: Vector, second: Vector) {
    (values[0..<first.count], values[first.count..<values.count])
  }

  public func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device
  ) throws {
    guard let z = saved else { preconditionFailure("a factorised structure keeps its inner activations") }
    let parts = parts(values)
    try device.multiply(first, parts.first, x, into: z, accumulate: false)
    try device.multiply(second, parts.second, z, into: y, accumulate: accumulate)
  }

  public func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device
  ) throws {
    guard let z = saved else { preconditionFailure("a factorised structure keeps its inner activations") }
    let parts = parts(values)
    try device.withScratch(tokens: dy.tokens, features: savedFeatures) { dz in
      try device.multiplyTransposed(second, parts.second, dy, into: dz, accumulate: false)
      if let dx { try device.multiplyTransposed(first, parts.first, dz, into: dx, accumulate: accumulate) }
      guard let dvalues else { return }
      let gradients = self.parts(dvalues)
      try device.accumulateGradient(second, dy: dy, x: z, into: gradients.second)
      try device.accumulateGradient(first, dy: dz, x: x, into: gradients.first)
    }
  }

  /// Each factor preserves the variance of what it reads, and takes half of the gain: N(0, gain / block inputs).
  public func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float] {
    [first, second].flatMap { grid in
      let deviation = (gain / Double(grid.inputs.members)).squareRoot()
      return (0..<grid.count).map { _ in Float(deviation * generator.normal()) }
    }
  }
}

extension [Double] {
  /// self[at ..< at + range.count] += factor * values[range]: the inner loop of a product's definition.
  mutating func add(_ factor: Double, times values: [Float], _ range: Range<Int>, at place: Int) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= values.count && place >= 0 && place + range.count <= count)
    withUnsafeMutableBufferPointer { target in
      values.withUnsafeBufferPointer { values in
        guard let row = target.baseAddress?.advanced(by: place),
          let terms = values.baseAddress?.advanced(by: range.lowerBound)
        else { return }
        for i in 0..<range.count { row[i] += factor * Double(terms[i]) }
      }
    }
  }
}

extension Structure {
  /// Whether it is a product of two factors, which self-guided training is for.
  package var isProduct: Bool { self is any FactorisedStructure }
}
