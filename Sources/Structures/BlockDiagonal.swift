import Arrays
import Devices

/// A matrix whose nonzeros are G equal blocks, the inputs dealt to the blocks in turn (a channel shuffle).
///
///     W[g O/G + i, j G + g] = blocks[g, i, j]
///
/// Output group g reads every G-th input only. The shuffle makes two such layers in a row mix all groups; it costs
/// nothing, because a feature is one line wherever it lies.
/// - Values: `blocks` [G, O/G, I/G]; no indices. Density 1/G; 2 T O I / G flops; nothing saved.
/// - Sides that G does not divide are padded.
public struct BlockDiagonal: GridStructure, GroupedStructure, FixedStructure {
  public static let card = Card(
    family: "blockdiagonal", grammar: "blockdiagonal-G", summary: "G diagonal blocks with a channel shuffle",
    formula: "W[gO/G+i, jG+g] = v[g,i,j]", stored: "O I / G", densities: "1/G", densityIsFree: false,
    source: "grouped layers with the shuffle of Zhang et al. 2018 (arXiv 1707.01083)")

  public let shape: Shape
  public let grid: BlockGrid
  public var label: String { "blockdiagonal-\(grid.outputs.groups)" }
  public var learningRateScale: Double {
    LearningRateRule.factor(denseInputs: shape.inputs, blockInputs: grid.inputs.members, factors: 1)
  }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [BlockDiagonal] {
    fewestGroups(of: shape, density: density)
  }

  public init(parameters: String, shape: Shape) throws {
    let groups = try Self.groups(parameters, shape)
    self.shape = shape
    grid = .diagonal(
      outputs: .contiguous(groups: groups, members: shape.outputs / groups),
      inputs: .strided(groups: groups, members: shape.inputs / groups))
  }

  public func materialize(_ values: [Float]) -> [Double] {
    let groups = grid.outputs.groups, rows = shape.outputs / groups, columns = shape.inputs / groups
    var dense = [Double](repeating: 0, count: shape.count)
    for g in 0..<groups {
      for i in 0..<rows {
        for j in 0..<columns {
          dense[(g * rows + i) * shape.inputs + j * groups + g] = Double(values[(g * rows + i) * columns + j])
        }
      }
    }
    return dense
  }
}
