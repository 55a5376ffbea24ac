import Arrays
import Devices

/// V consecutive rows share a choice of four columns in every M; inside, every row holds N of the four.
///
///     rows v V ..< (v + 1) V and inputs c M ..< (c + 1) M:  four columns shared,  N of them in each row
///
/// - Values: `values` [O I N / M] in row order; indices 4 bytes a weight here. 2 T O I N / M flops; nothing saved.
/// - Sides that V and M do not divide are padded. Not representable unless M >= 4 and N <= 4.
public struct VNM: RowsStructure {
  public static let card = Card(
    family: "vnm", grammar: "vnm-V:N:M", summary: "V rows share four columns of every M; N of the four in each row",
    formula: "N of 4 shared columns in every M inputs", stored: "O I N / M", densities: "N/M", densityIsFree: false,
    source: "VENOM, Castro et al. 2023 (arXiv 2310.02065)")

  private static let usual = ["32:2:4", "32:2:8", "32:2:16", "32:2:32", "32:2:64"]
  /// Columns that a block of rows shares in every M.
  private static let shared = 4

  public let shape: Shape
  public let rows: CompressedRows
  private let rule: Rule
  public var label: String { "vnm-\(rule.v):\(rule.n):\(rule.m)" }

  private struct Rule {
    let v: Int
    let n: Int
    let m: Int
    var ofRows: RunRule { RunRule(rows: v, held: n, shared: VNM.shared, run: m) }
  }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [VNM] {
    usual.first { text in (try? rule(text, shape)).map { Double($0.n) / Double($0.m) <= density } ?? false }
      .flatMap { try? VNM(parameters: $0, shape: shape, density: density, seed: seed) }.map { [$0] } ?? []
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    let rule = try Self.rule(parameters, shape)
    var generator = SeededGenerator(seed: seed, "vnm \(parameters) \(shape)")
    let across = shape.inputs / rule.m
    let columns = (0..<shape.outputs / rule.v * across).map { _ in generator.sample(Self.shared, below: rule.m) }
    self.shape = shape
    self.rule = rule
    rows = .rows(of: shape, rule: rule.ofRows) { row in
      (0..<across).flatMap { run in
        generator.sample(rule.n, below: Self.shared).map { run * rule.m + columns[row / rule.v * across + run][$0] }
      }
    }
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    let rule = try Self.rule(parameters, shape)
    self.init(shape: shape, rows: try CompressedRows(pattern, of: shape, rule: rule.ofRows), rule: rule)
  }

  public static func paddedShape(parameters: String, shape: Shape) throws -> Shape {
    let rule = try rule(parameters)
    return shape.rounded(outputs: rule.v, inputs: rule.m)
  }

  private static func rule(_ parameters: String) throws -> Rule {
    let numbers = try parameters.split(separator: ":", omittingEmptySubsequences: false)
      .map { try positive($0, of: parameters) }
    guard numbers.count == 3 else {
      throw Refusal.badInput("'vnm-\(parameters)' is not a label: write \(card.grammar)")
    }
    return Rule(v: numbers[0], n: numbers[1], m: numbers[2])
  }

  private static func rule(_ parameters: String, _ shape: Shape) throws -> Rule {
    let rule = try rule(parameters)
    guard shape.outputs.isMultiple(of: rule.v), shape.inputs.isMultiple(of: rule.m), rule.m >= shared, rule.n <= shared
    else {
      throw refusal(parameters, shape, "V must divide the outputs, M the inputs, M be 4 or more and N 4 or less")
    }
    return rule
  }

  private init(shape: Shape, rows: CompressedRows, rule: Rule) {
    self.shape = shape
    self.rows = rows
    self.rule = rule
  }

  /// For every block of rows and run of inputs: the four columns with the greatest sums, then each row's N greatest.
  /// The sums are a heuristic: the best four columns together are a harder problem.
  public func repatterned(for scores: [Double]) -> VNM {
    func score(_ row: Int, _ column: Int) -> Double { scores[row * shape.inputs + column] }
    let across = shape.inputs / rule.m
    let chosen = (0..<shape.outputs / rule.v * across).map { block -> [Int] in
      let first = block / across * rule.v, run = block % across * rule.m
      let sums = (run..<run + rule.m).map { column in
        (column: column, sum: (first..<first + rule.v).reduce(0.0) { $0 + score($1, column) })
      }
      return sums.sorted { ($0.sum, $1.column) > ($1.sum, $0.column) }.prefix(Self.shared).map(\.column)
    }
    return VNM(
      shape: shape,
      rows: .rows(of: shape, rule: rule.ofRows) { row in
        (0..<across).flatMap { run in
          chosen[row / rule.v * across + run]
            .sorted { (score(row, $0), $1) > (score(row, $1), $0) }.prefix(rule.n).sorted()
        }
      }, rule: rule)
  }
}
