import Arrays

/// Which features belong to a group of a grid: feature(g, i) = g * groupStride + i * stride.
///
/// Contiguous groups have stride 1; a stride permutation (as in Monarch) has groupStride 1 and stride G, and costs
/// nothing, because a feature is a line of memory wherever it lies.
public struct FeatureGroups: Sendable, Equatable {
  public let groups: Int
  public let members: Int
  public let groupStride: Int
  public let stride: Int

  public var features: Int { groups * members }

  /// Group g is the features g * members ..< (g + 1) * members.
  public static func contiguous(groups: Int, members: Int) -> FeatureGroups {
    FeatureGroups(groups: groups, members: members, groupStride: members, stride: 1)
  }

  /// Group g is the features g, g + groups, g + 2 groups, ...
  public static func strided(groups: Int, members: Int) -> FeatureGroups {
    FeatureGroups(groups: groups, members: members, groupStride: 1, stride: groups)
  }

  public func feature(_ group: Int, _ member: Int) -> Int { group * groupStride + member * stride }
}

/// The pattern of a product with equal dense blocks: which pairs of an output group and an input group hold one.
///
///     y[feature(r, i)] = sum over blocks k of row r, j < C of  values[k, i, j] * x[feature(column[k], j)]
///
/// Values: [blocks, R, C], blocks in row order. A dense matrix is one block; block-sparse, block-diagonal, low-rank and
/// Monarch factors are grids too, so that one primitive carries them all.
public final class BlockGrid: Sendable {
  public let outputs: FeatureGroups
  public let inputs: FeatureGroups
  /// Blocks of row r are rowStart[r] ..< rowStart[r + 1].
  public let rowStart: [Int32]
  public let column: [Int32]
  /// The transposed pattern: the blocks of column c are block[k], in rows row[k], k in columnStart[c] ..< columnStart[c+1].
  public let columnStart: [Int32]
  public let row: [Int32]
  public let block: [Int32]

  public var blocks: Int { column.count }
  /// Stored numbers.
  public var count: Int { blocks * outputs.members * inputs.members }

  /// - Throws: a `Refusal` when `rowStart` and `column` do not describe a grid of these groups; columns must ascend
  ///   within a row. The arrays may come from a file.
  public init(outputs: FeatureGroups, inputs: FeatureGroups, rowStart: [Int32], column: [Int32]) throws {
    let compressed = try CompressedRows.transposed(
      rows: outputs.groups, columns: inputs.groups, rowStart: rowStart, column: column, of: "block pattern")
    self.outputs = outputs
    self.inputs = inputs
    self.rowStart = rowStart
    self.column = column
    columnStart = compressed.start
    row = compressed.row
    block = compressed.source
  }

  /// One dense block.
  public static func dense(outputs: Int, inputs: Int) -> BlockGrid {
    diagonal(
      outputs: .contiguous(groups: 1, members: outputs), inputs: .contiguous(groups: 1, members: inputs))
  }

  /// Output group g reads input group g only.
  public static func diagonal(outputs: FeatureGroups, inputs: FeatureGroups) -> BlockGrid {
    precondition(outputs.groups == inputs.groups)
    let groups = Int32(outputs.groups)
    do {
      return try BlockGrid(
        outputs: outputs, inputs: inputs, rowStart: Array(0...groups), column: Array(0..<groups))
    } catch {
      preconditionFailure("a diagonal is a grid: \(error)")
    }
  }
}
