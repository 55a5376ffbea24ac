/// What a structure promises of its sparse pattern, so that a device may have a product for it.
///
///     columns c run ..< (c + 1) run:  every row holds exactly `held` weights,
///     and `rows` consecutive rows use at most `shared` of the columns together
///
/// N of every M is rows 1, held N, shared M, run M; V:N:M is rows V, held N, shared 4, run M.
public struct RunRule: Sendable, Equatable {
  public let rows: Int
  public let held: Int
  public let shared: Int
  public let run: Int

  /// - Precondition: 1 <= rows, 1 <= held <= shared <= run.
  public init(rows: Int = 1, held: Int, shared: Int, run: Int) {
    precondition(rows >= 1 && held >= 1 && held <= shared && shared <= run)
    self.rows = rows
    self.held = held
    self.shared = shared
    self.run = run
  }

  /// Whether a compressed pattern of `count` rows and `columns` columns is what the rule says.
  func holds(count: Int, columns: Int, start: [Int32], column: [Int32]) -> Bool {
    guard count.isMultiple(of: rows), columns.isMultiple(of: run) else { return false }
    var lastUser = [Int](repeating: -1, count: columns)
    for group in 0..<count / rows {
      var used = [Int](repeating: 0, count: columns / run)
      for row in group * rows..<(group + 1) * rows {
        var weights = [Int](repeating: 0, count: columns / run)
        for k in Int(start[row])..<Int(start[row + 1]) {
          let c = Int(column[k])
          weights[c / run] += 1
          if lastUser[c] != group { used[c / run] += 1 }
          lastUser[c] = group
        }
        guard weights.allSatisfy({ $0 == held }) else { return false }
      }
      guard used.allSatisfy({ $0 <= shared }) else { return false }
    }
    return true
  }
}
