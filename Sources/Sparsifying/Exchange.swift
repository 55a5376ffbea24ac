import Arrays

/// Weak places go, as many others come: the number in every group stays what it is.
///
/// The weakest go first, wherever they are, but never more of a group than it has free places. What comes was free before.
/// Where the sites cover, what comes first fills the rows and columns that were left empty; where it cannot, the strongest
/// of those that left a row stays.
struct Exchange {
  let sites: Sites
  let scores: [Float]

  /// How newcomers are chosen out of free places.
  enum Growth {
    case random
    /// The largest of these, the gradient that a weight there would have.
    case gradient([Float])

    func choose(_ count: Int, of candidates: [Int], using generator: inout SeededGenerator) -> [Int] {
      switch self {
      case .random: generator.sample(min(count, candidates.count), below: candidates.count).map { candidates[$0] }
      case .gradient(let sizes): Array(Ranking.descending(candidates, by: sizes).prefix(count))
      }
    }
  }

  func run(_ now: [Int], count: Int, growth: Growth, using generator: inout SeededGenerator) -> [Int] {
    var was = [Bool](repeating: false, count: sites.placeCount)
    var free = [Int](repeating: sites.groupSize, count: sites.groupCount)
    for place in now {
      was[place] = true
      free[place / sites.groupSize] -= 1
    }
    var next = was
    var dropped: [Int] = []
    var lost: [Int: Int] = [:]
    for place in Ranking.ascending(now, by: scores) where dropped.count < count && free[place / sites.groupSize] > 0 {
      next[place] = false
      dropped.append(place)
      free[place / sites.groupSize] -= 1
      lost[place / sites.groupSize, default: 0] += 1
    }
    if sites.covers {
      for place in covering(next, was, dropped, growth, using: &generator) {
        next[place] = true
        lost[place / sites.groupSize, default: 0] -= 1
      }
    }
    for (group, wanted) in lost.sorted(by: { $0.key < $1.key }) where wanted > 0 {
      let candidates = (group * sites.groupSize..<(group + 1) * sites.groupSize).filter { !was[$0] && !next[$0] }
      for place in growth.choose(wanted, of: candidates, using: &generator) { next[place] = true }
    }
    return next.indices.filter { next[$0] }
  }

  /// Places for the rows and columns that nothing touches any more: one for a row and a column together while there are
  /// both, so that never more come than have left.
  private func covering(
    _ kept: [Bool], _ was: [Bool], _ dropped: [Int], _ growth: Growth, using generator: inout SeededGenerator
  ) -> [Int] {
    let columns = sites.columns
    var emptyRows = Set(dropped.map { $0 / columns }), emptyColumns = Set(dropped.map { $0 % columns })
    for place in kept.indices where kept[place] {
      emptyRows.remove(place / columns)
      emptyColumns.remove(place % columns)
    }
    var added: [Int] = []
    /// One of these that was free, else the strongest that was there: an empty row or column has lost all it had.
    func fill(_ candidates: [Int]) {
      let isFree = growth.choose(1, of: candidates.filter { !was[$0] }, using: &generator).first
      guard let place = isFree ?? dropped.last(where: Set(candidates).contains) else { return }
      added.append(place)
      emptyRows.remove(place / columns)
      emptyColumns.remove(place % columns)
    }
    for row in emptyRows.sorted() {
      fill((emptyColumns.isEmpty ? Array(0..<columns) : emptyColumns.sorted()).map { row * columns + $0 })
    }
    for column in emptyColumns.sorted() { fill((0..<sites.rows).map { $0 * columns + column }) }
    return added
  }
}
