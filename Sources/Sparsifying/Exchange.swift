import Arrays

/// Weak places go, as many others come: the number in every group stays what it is.
///
/// The weakest go first, wherever they are, but never more of a group than it has free places, and never the last place
/// of a row or column where the sites cover. What comes was free before.
struct Exchange {
  let sites: Sites
  let scores: [Float]

  /// How newcomers are chosen out of a group's free places.
  enum Growth {
    case random
    /// The largest of these, the gradient that a weight there would have.
    case gradient([Float])
  }

  func run(_ now: [Int], count: Int, growth: Growth, using generator: inout SeededGenerator) -> [Int] {
    var chosen = [Bool](repeating: false, count: sites.placeCount)
    var inRow = [Int](repeating: 0, count: sites.rows), inColumn = [Int](repeating: 0, count: sites.columns)
    var free = [Int](repeating: sites.groupSize, count: sites.groupCount)
    for place in now {
      chosen[place] = true
      inRow[place / sites.columns] += 1
      inColumn[place % sites.columns] += 1
      free[place / sites.groupSize] -= 1
    }
    var dropped = [Bool](repeating: false, count: sites.placeCount)
    var lost: [Int: Int] = [:]
    var left = count
    for place in Ranking.ascending(now, by: scores) where left > 0 {
      let group = place / sites.groupSize, row = place / sites.columns, column = place % sites.columns
      guard free[group] > lost[group, default: 0], !sites.covers || inRow[row] > 1 && inColumn[column] > 1 else {
        continue
      }
      dropped[place] = true
      inRow[row] -= 1
      inColumn[column] -= 1
      lost[group, default: 0] += 1
      left -= 1
    }
    var next = now.filter { !dropped[$0] }
    for group in lost.keys.sorted() {
      let wanted = lost[group] ?? 0
      let range = group * sites.groupSize..<(group + 1) * sites.groupSize
      let candidates = range.filter { !chosen[$0] }
      switch growth {
      case .random: next += generator.sample(wanted, below: candidates.count).map { candidates[$0] }
      case .gradient(let sizes): next += Ranking.descending(candidates, by: sizes).prefix(wanted)
      }
    }
    return next.sorted()
  }
}
