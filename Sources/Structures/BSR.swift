import Arrays
import Devices

/// Block-sparse: dense R x C blocks on some places of a grid, in every block row and block column as far as they suffice.
///
///     W[r R + i, column[k] C + j] = blocks[k, i, j],   k in rowStart[r] ..< rowStart[r + 1]
///
/// - Values: `blocks` [floor(d (O/R) (I/C)), R, C]; indices 4 (blocks + O/R + 1) bytes. 2 T values flops; nothing saved.
/// - Sides that R or C do not divide are padded. Not representable when the density leaves no block.
///
/// Blocks drawn without the rule leave rows empty: 54 % of them at 3072x768 with 14 blocks of 128 (density 0.1), and gate,
/// up and down drawn apart keep a tenth of an MLP's hidden units. With it fewer blocks than rows keep one row a block.
public struct BSR: GridStructure {
  public static let card = Card(
    family: "bsr", grammar: "bsr-B or bsr-RxC", summary: "block-sparse: dense blocks on a sparse grid",
    formula: "W[rR+i, column[k]C+j] = v[k,i,j]", stored: "floor(d OI/RC) R C", densities: "any",
    densityIsFree: true, source: "Gray, Radford and Kingma 2017; for training Dietrich et al. 2021 (arXiv 2108.06277)")

  /// The block sides that a glob offers.
  static let usualSides = [16, 32, 64, 128]

  public let shape: Shape
  public let grid: BlockGrid
  public var label: String {
    let (r, c) = (grid.outputs.members, grid.inputs.members)
    return r == c ? "bsr-\(r)" : "bsr-\(r)x\(c)"
  }
  public var learningRateScale: Double { LearningRateRule.masked(density: Double(grid.count) / Double(shape.count)) }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [BSR] {
    members(usualSides.map { "\($0)" }, of: shape, density: density, seed: seed)
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    let (r, c) = try Self.block(parameters, shape)
    let rows = shape.outputs / r, columns = shape.inputs / c
    let count = Int(density * Double(rows * columns))
    guard count >= 1, count <= rows * columns else {
      throw Self.refusal(parameters, shape, "density \(density) leaves no block; ask for more")
    }
    try self.init(parameters: parameters, shape: shape, count: count, columns: Array(0..<columns), seed: seed)
  }

  /// `count` random blocks in these block columns, at most as many as there are places.
  private init(parameters: String, shape: Shape, count: Int, columns: [Int], seed: UInt64) throws {
    let (r, c) = try Self.block(parameters, shape)
    let rows = shape.outputs / r, width = shape.inputs / c
    let count = min(count, rows * columns.count)
    var generator = SeededGenerator(seed: seed, "bsr \(r)x\(c) \(shape)")
    var chosen = BSR.cover(rows: rows, columns: columns, width: width, atMost: count, using: &generator)
    // The rest is drawn uniformly from the free places.
    let free = (0..<rows).flatMap { row in columns.map { row * width + $0 } }.filter { !chosen.contains($0) }
    chosen.formUnion(generator.sample(count - chosen.count, below: free.count).map { free[$0] })
    try self.init(parameters: parameters, shape: shape, places: chosen.sorted())
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    let (r, c) = try Self.block(parameters, shape)
    self.shape = shape
    grid = try BlockGrid(
      outputs: .contiguous(groups: shape.outputs / r, members: r),
      inputs: .contiguous(groups: shape.inputs / c, members: c), rowStart: pattern.arrays["rowStart"] ?? [],
      column: pattern.arrays["column"] ?? [])
  }

  /// Blocks at these ascending places of the row-major grid.
  private init(parameters: String, shape: Shape, places: [Int]) throws {
    let (r, c) = try Self.block(parameters, shape)
    let columns = shape.inputs / c
    let start = (0...shape.outputs / r).map { row in Int32(places.partitioningIndex { $0 >= row * columns }) }
    let pattern = Pattern(["rowStart": start, "column": places.map { Int32($0 % columns) }])
    try self.init(parameters: parameters, shape: shape, pattern: pattern)
  }

  private static func sides(_ parameters: String, _ shape: Shape) throws -> (rows: Int, columns: Int) {
    let sides = try parameters.split(separator: "x", omittingEmptySubsequences: false)
      .map { try positive($0, of: parameters) }
    guard let r = sides.first, sides.count <= 2 else { throw refusal(parameters, shape, "write \(card.grammar)") }
    return (r, sides.count == 2 ? sides[1] : r)
  }

  private static func block(_ parameters: String, _ shape: Shape) throws -> (rows: Int, columns: Int) {
    let (r, c) = try sides(parameters, shape)
    guard shape.outputs.isMultiple(of: r), shape.inputs.isMultiple(of: c) else {
      throw refusal(parameters, shape, "its \(r) x \(c) blocks do not divide it; choose sides that do")
    }
    return (r, c)
  }

  public static func paddedShape(parameters: String, shape: Shape) throws -> Shape {
    let (r, c) = try sides(parameters, shape)
    return shape.rounded(outputs: r, inputs: c)
  }

  public func reading(only inputs: [Bool], seed: UInt64) -> BSR {
    let c = grid.inputs.members
    let columns = (0..<grid.inputs.groups).filter { inputs[$0 * c..<($0 + 1) * c].contains(true) }
    guard columns.count < grid.inputs.groups, !columns.isEmpty else { return self }
    return
      (try? BSR(parameters: parameters, shape: shape, count: grid.blocks, columns: columns, seed: seed)) ?? self
  }

  /// Random places that touch every row and every column once before any twice; fewer where they would be too many.
  private static func cover(
    rows: Int, columns: [Int], width: Int, atMost count: Int, using generator: inout SeededGenerator
  ) -> Set<Int> {
    let r = Array(0..<rows).shuffled(using: &generator), c = columns.shuffled(using: &generator)
    return Set((0..<min(count, max(rows, c.count))).map { r[$0 % rows] * width + c[$0 % c.count] })
  }

  public var pattern: Pattern { Pattern(["rowStart": grid.rowStart, "column": grid.column]) }

  public func materialize(_ values: [Float]) -> [Double] {
    let (r, c) = (grid.outputs.members, grid.inputs.members)
    var dense = [Double](repeating: 0, count: shape.count)
    for row in 0..<shape.outputs / r {
      for k in Int(grid.rowStart[row])..<Int(grid.rowStart[row + 1]) {
        for i in 0..<r {
          for j in 0..<c {
            dense[(row * r + i) * shape.inputs + Int(grid.column[k]) * c + j] = Double(values[(k * r + i) * c + j])
          }
        }
      }
    }
    return dense
  }

  /// The blocks with the greatest sums of scores, after each row's and each column's best.
  public func repatterned(for scores: [Double]) -> BSR {
    let (r, c) = (grid.outputs.members, grid.inputs.members)
    let rows = shape.outputs / r, columns = shape.inputs / c
    var sums = [Double](repeating: 0, count: rows * columns)
    for o in 0..<shape.outputs {
      for i in 0..<shape.inputs { sums[o / r * columns + i / c] += scores[o * shape.inputs + i] }
    }
    func best(_ places: [Int]) -> Int { places.max { (sums[$0], $1) < (sums[$1], $0) } ?? 0 }
    var chosen = Set((0..<rows).map { row in best((0..<columns).map { row * columns + $0 }) })
    for column in 0..<columns where !chosen.contains(where: { $0 % columns == column }) {
      chosen.insert(best((0..<rows).map { $0 * columns + column }))
    }
    let order = sums.indices.sorted { (sums[$0], $1) > (sums[$1], $0) }
    for place in order where chosen.count < grid.blocks { chosen.insert(place) }
    // A cover can be larger than the pattern; then the best blocks are taken wherever they are.
    if chosen.count > grid.blocks { chosen = Set(order.prefix(grid.blocks)) }
    guard let structure = try? BSR(parameters: parameters, shape: shape, places: chosen.sorted())
    else { return self }
    return structure
  }
}
