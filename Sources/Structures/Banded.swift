import Arrays
import Devices

/// A band: every output reads W consecutive inputs around its own place.
///
///     W[o, first(o) ..< first(o) + W],   first(o) = floor((o + 1/2) I / O - W/2), moved inside 0 ... I - W
///
/// - Values: `values` [O, W]; indices 4 (O W + O + 1) bytes. Density W / I; 2 T O W flops; nothing saved.
/// - Not representable when W > I.
public struct Banded: RowsStructure {
  public static let card = Card(
    family: "banded", grammar: "banded-W", summary: "a band of W consecutive inputs for every output",
    formula: "W[o, first(o) + j] = v[o, j], j < W", stored: "O W", densities: "W/I", densityIsFree: false,
    source: "banded matrices, Golub and Van Loan 2013, section 1.2")

  public let shape: Shape
  public let rows: CompressedRows
  public var label: String { "banded-\(rows.columns(in: 0).count)" }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [Banded] {
    guard density > 0, density <= 1 else { return [] }
    let width = Int(density * Double(shape.inputs))
    return (try? Banded(parameters: "\(width)", shape: shape, density: density, seed: seed)).map { [$0] } ?? []
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    let width = try Self.positive(parameters)
    guard width <= shape.inputs else {
      throw Self.refusal(parameters, shape, "the band can be at most \(shape.inputs) wide")
    }
    self.shape = shape
    rows = .rows(of: shape) { row in
      let middle = (2 * row + 1) * shape.inputs - width * shape.outputs
      let first = min(max(0, middle / (2 * shape.outputs)), shape.inputs - width)
      return Array(first..<first + width)
    }
  }

  /// The band follows from the label; a pattern in a checkpoint must be that band.
  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    try self.init(parameters: parameters, shape: shape, density: 1, seed: 0)
    guard pattern == self.pattern else {
      throw Self.refusal(parameters, shape, "the pattern is not the band that the label says")
    }
  }
}
