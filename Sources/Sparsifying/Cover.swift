/// The fewest places that touch every row and every column which the given places touch, strong ones preferred.
///
/// A largest matching (Kuhn's augmenting paths, rows in the order of their best place), and the best place of each row and
/// column that it leaves out: rows + columns - matching places, the least there can be.
struct Cover {
  let places: Set<Int>

  /// - Parameter ranked: the places to choose from, strongest first.
  init(rows: Int, columns: Int, ranked: [Int]) {
    var byRow = [[Int]](repeating: [], count: rows)
    var order: [Int] = []
    for place in ranked {
      if byRow[place / columns].isEmpty { order.append(place / columns) }
      byRow[place / columns].append(place % columns)
    }
    var owner = [Int](repeating: -1, count: columns)
    func augment(_ row: Int, _ seen: inout [Bool]) -> Bool {
      for column in byRow[row] where !seen[column] {
        seen[column] = true
        if owner[column] < 0 || augment(owner[column], &seen) {
          owner[column] = row
          return true
        }
      }
      return false
    }
    var matched = Set<Int>()
    for row in order {
      var seen = [Bool](repeating: false, count: columns)
      if augment(row, &seen) { matched.insert(row) }
    }
    var chosen = Set(owner.indices.filter { owner[$0] >= 0 }.map { owner[$0] * columns + $0 })
    // A place whose row and column both are left out would have made the matching larger: there is none.
    for place in ranked where matched.insert(place / columns).inserted || owner[place % columns] < 0 {
      chosen.insert(place)
      owner[place % columns] = place / columns
    }
    places = chosen
  }
}
