import Arrays
import Devices

/// The control: a dense MLP of smaller intermediate size at equal parameters.
///
///     W[o, i] = values[o, i]  for the first k of the longer side's features,  else 0
///
/// A sparse structure that does no better than this one is a costly way to make a model narrower. In a model the MLP
/// itself has floor(d width) hidden units, and nothing stands for the others; alone, as a matrix [O, I], its other outputs
/// are zeros, or its other inputs are not read.
/// - Values: `blocks` [k/b, b, I] for O >= I, [k/b, O, b] for O < I, b a divisor of the longer side; no indices.
/// - Not representable when d max(O, I) < 1.
public struct Narrow: GridStructure {
  public static let card = Card(
    family: "narrow", grammar: "narrow", summary: "control: a dense MLP with fewer hidden units",
    formula: "W[o, i] = v[o, i], hidden < k", stored: "k min(O, I)", densities: "k / max(O, I)", densityIsFree: true,
    source: "the equal-parameter control of Dietrich et al. 2021 (arXiv 2108.06277)")

  public let shape: Shape
  public let grid: BlockGrid
  public var label: String { "narrow" }
  public var learningRateScale: Double { 1 }
  private var isTall: Bool { shape.outputs >= shape.inputs }
  public var pattern: Pattern { Pattern(["kept": [Int32(isTall ? kept.outputs : kept.inputs)]]) }
  private var kept: Shape {
    isTall
      ? Shape(outputs: grid.blocks * grid.outputs.members, inputs: shape.inputs)
      : Shape(outputs: shape.outputs, inputs: grid.blocks * grid.inputs.members)
  }

  public static func hiddenUnits(of width: Int, density: Double) -> Int {
    density > 0 && density < 1 ? max(1, Int(density * Double(width))) : width
  }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [Narrow] {
    members([""], of: shape, density: density, seed: seed)
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    try Self.requireNoParameters(parameters)
    let long = max(shape.outputs, shape.inputs)
    let wanted = density * Double(long)
    guard wanted >= 1, density <= 1 else {
      throw Self.refusal(parameters, shape, "density \(density) leaves no hidden unit; ask for more")
    }
    // Large blocks run fastest; a tenth of the wanted units is the most that rounding to whole blocks may cost.
    let side = (1...96).last { long.isMultiple(of: $0) && Double(Int(wanted) / $0 * $0) >= 0.9 * wanted } ?? 1
    try self.init(shape: shape, kept: Int(wanted) / side * side)
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    try Self.requireNoParameters(parameters)
    let long = max(shape.outputs, shape.inputs)
    guard let array = pattern.arrays["kept"], array.count == 1, let kept = array.first.map(Int.init),
      (1...long).contains(kept)
    else {
      throw Self.refusal(parameters, shape, "the pattern must hold one number of hidden units, from 1 to \(long)")
    }
    try self.init(shape: shape, kept: kept)
  }

  private init(shape: Shape, kept: Int) throws {
    self.shape = shape
    let long = max(shape.outputs, shape.inputs)
    let side = (1...96).last { long.isMultiple(of: $0) && kept.isMultiple(of: $0) } ?? 1
    let blocks = kept / side
    if shape.outputs >= shape.inputs {
      let groups = shape.outputs / side
      grid = try BlockGrid(
        outputs: .contiguous(groups: groups, members: side), inputs: .contiguous(groups: 1, members: shape.inputs),
        rowStart: (0...groups).map { Int32(min($0, blocks)) }, column: [Int32](repeating: 0, count: blocks))
    } else {
      grid = try BlockGrid(
        outputs: .contiguous(groups: 1, members: shape.outputs),
        inputs: .contiguous(groups: shape.inputs / side, members: side), rowStart: [0, Int32(blocks)],
        column: (0..<blocks).map { Int32($0) })
    }
  }

  public func materialize(_ values: [Float]) -> [Double] {
    var dense = [Double](repeating: 0, count: shape.count)
    let side = grid.inputs.members
    if isTall {
      for (place, value) in values.enumerated() { dense[place] = Double(value) }
    } else {
      for (index, value) in values.enumerated() {
        let (block, rest) = index.quotientAndRemainder(dividingBy: shape.outputs * side)
        dense[rest / side * shape.inputs + block * side + rest % side] = Double(value)
      }
    }
    return dense
  }
}
