import Devices

/// 64 x 64 weights of a grid's block: what a warpgroup multiplies at a time.
struct WarpgroupPiece: Hashable {
  /// Among all pieces, in the order in which their values lie.
  let place: Int
  /// In units of 64 features.
  let row: Int
  let column: Int
}

/// Every piece of a grid whose blocks have sides of 64 or a multiple.
func pieces(of grid: BlockGrid) -> Set<WarpgroupPiece> {
  let down = grid.outputs.members / 64, across = grid.inputs.members / 64
  var all = Set<WarpgroupPiece>()
  for row in 0..<grid.outputs.groups {
    for k in Int(grid.rowStart[row])..<Int(grid.rowStart[row + 1]) {
      for i in 0..<down {
        for j in 0..<across {
          all.insert(
            WarpgroupPiece(
              place: (k * down + i) * across + j, row: row * down + i, column: Int(grid.column[k]) * across + j))
        }
      }
    }
  }
  return all
}
