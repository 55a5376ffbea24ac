import Arrays
import Devices

/// N of every M consecutive inputs; transposable (suffix t): also N of every M consecutive outputs.
///
///     every run of M inputs of a row holds exactly N weights
///     transposable: every M x M tile holds exactly N in each row and each column
///
/// - Values: `values` [O I N / M] in row order; indices 4 bytes a weight here: processors without instructions for the
///   2-bit form gain nothing from it. 2 T O I N / M flops; nothing saved.
/// - Sides that M does not divide are padded (transposable: both; else the inputs). Not representable when N > M.
public struct NM: RowsStructure {
  public static let card = Card(
    family: "nm", grammar: "nm-N:M or nm-N:Mt", summary: "N of every M consecutive inputs; t: transposable",
    formula: "N weights in every M inputs", stored: "O I N / M", densities: "N/M", densityIsFree: false,
    source: "Mishra et al. 2021 (arXiv 2104.08378); transposable Hubara et al. 2021 (arXiv 2102.08124)")

  /// What a glob offers, most weights first.
  private static let usual = ["2:4", "4:8", "1:4", "2:8", "1:8", "2:16", "1:16", "1:32", "1:64"]

  public let shape: Shape
  public let rows: CompressedRows
  private let rule: Rule
  public var label: String { "nm-\(rule.n):\(rule.m)\(rule.transposable ? "t" : "")" }

  private struct Rule {
    let n: Int
    let m: Int
    let transposable: Bool
    /// Of the pattern, and of its transpose where both keep to it.
    var ofRows: RunRule { RunRule(held: n, shared: m, run: m) }
    var ofColumns: RunRule? { transposable ? ofRows : nil }
  }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [NM] {
    let fitting = usual.flatMap { [$0, $0 + "t"] }.compactMap { text in
      (try? rule(text, shape)).map { (text: text, density: Double($0.n) / Double($0.m)) }
    }.filter { $0.density <= density }
    let best = fitting.map(\.density).max()
    return fitting.filter { $0.density == best }
      .compactMap { try? NM(parameters: $0.text, shape: shape, density: density, seed: seed) }
  }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    let rule = try Self.rule(parameters, shape)
    var generator = SeededGenerator(seed: seed, "nm \(parameters) \(shape)")
    self.shape = shape
    self.rule = rule
    if rule.transposable {
      // In a tile, N of the M cyclic shifts of a random permutation: N in every row and column.
      let tiles = (0..<shape.count / (rule.m * rule.m)).map { _ in
        (columns: Array(0..<rule.m).shuffled(using: &generator), shifts: generator.sample(rule.n, below: rule.m))
      }
      let across = shape.inputs / rule.m
      rows = .rows(of: shape, rule: rule.ofRows, transposedRule: rule.ofColumns) { row in
        (0..<across).flatMap { tile in
          let chosen = tiles[row / rule.m * across + tile]
          return chosen.shifts.map { tile * rule.m + chosen.columns[(row + $0) % rule.m] }.sorted()
        }
      }
    } else {
      rows = .rows(of: shape, rule: rule.ofRows) { _ in
        (0..<shape.inputs / rule.m).flatMap { run in
          generator.sample(rule.n, below: rule.m).map { run * rule.m + $0 }
        }
      }
    }
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    let rule = try Self.rule(parameters, shape)
    self.init(
      shape: shape,
      rows: try CompressedRows(pattern, of: shape, rule: rule.ofRows, transposedRule: rule.ofColumns), rule: rule)
  }

  private init(shape: Shape, rows: CompressedRows, rule: Rule) {
    self.shape = shape
    self.rows = rows
    self.rule = rule
  }

  public static func paddedShape(parameters: String, shape: Shape) throws -> Shape {
    let rule = try rule(parameters)
    return shape.rounded(outputs: rule.transposable ? rule.m : 1, inputs: rule.m)
  }

  private static func rule(_ parameters: String) throws -> Rule {
    let transposable = parameters.hasSuffix("t")
    let sides = try parameters.dropLast(transposable ? 1 : 0).split(separator: ":", omittingEmptySubsequences: false)
      .map { try positive($0, of: parameters) }
    guard sides.count == 2 else { throw Refusal.badInput("'nm-\(parameters)' is not a label: write \(card.grammar)") }
    return Rule(n: sides[0], m: sides[1], transposable: transposable)
  }

  private static func rule(_ parameters: String, _ shape: Shape) throws -> Rule {
    let rule = try rule(parameters)
    guard rule.n <= rule.m, shape.inputs.isMultiple(of: rule.m),
      !rule.transposable || shape.outputs.isMultiple(of: rule.m)
    else {
      throw refusal(
        parameters, shape, "N must be at most M, and M must divide \(rule.transposable ? "both sides" : "the inputs")")
    }
    return rule
  }

  /// The N greatest scores of every run; a transposable pattern stays as it is.
  public func repatterned(for scores: [Double]) -> NM {
    guard !rule.transposable else { return self }
    let (n, m) = (rule.n, rule.m)
    return NM(
      shape: shape,
      rows: .rows(of: shape, rule: rule.ofRows) { row in
        (0..<shape.inputs / m).flatMap { run in
          let place = row * shape.inputs + run * m
          return (0..<m).sorted { (scores[place + $0], $1) > (scores[place + $1], $0) }.prefix(n).sorted()
            .map { run * m + $0 }
        }
      }, rule: rule)
  }
}
