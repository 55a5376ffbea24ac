import Arrays
import Devices

/// All of it: the baseline that every other structure is measured against.
///
///     W : [O, I]
///
/// - Values: `blocks` [1, O, I]; no indices. Density 1; 2 T O I flops; nothing saved.
public struct Dense: GridStructure, FixedStructure {
  public static let card = Card(
    family: "dense", grammar: "dense", summary: "every weight: the baseline",
    formula: "W", stored: "O I", densities: "1", densityIsFree: false, source: "the baseline")

  public let shape: Shape
  public let grid: BlockGrid
  public var label: String { "dense" }
  public var learningRateScale: Double { 1 }

  public init(shape: Shape) {
    self.shape = shape
    grid = .dense(outputs: shape.outputs, inputs: shape.inputs)
  }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [Dense] {
    density >= 1 ? [Dense(shape: shape)] : []
  }

  public init(parameters: String, shape: Shape) throws {
    try Self.requireNoParameters(parameters)
    self.init(shape: shape)
  }

  public func materialize(_ values: [Float]) -> [Double] { values.map(Double.init) }
}
