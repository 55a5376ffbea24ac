import Arrays
import Testing

@testable import Sparsifying

/// Which places are chosen, against searches that try everything.
@Suite struct ChoiceTests {
  @Test("There are 90 patterns of a 4 x 4 tile with two in each row and column, and the search knows each once")
  func ninety() {
    var all = Set<Int>()
    for bits in 0..<1 << 16 {
      let rows = (0..<4).map { (bits >> ($0 * 4)) & 15 }
      let columns = (0..<4).map { column in rows.count { $0 >> column & 1 == 1 } }
      if rows.allSatisfy({ $0.nonzeroBitCount == 2 }) && columns.allSatisfy({ $0 == 2 }) { all.insert(bits) }
    }
    #expect(all.count == 90)
    let known = TransposableSearch.patterns.map { pattern in
      pattern.enumerated().reduce(0) { $0 | TransposableSearch.pairs[$1.element] << ($1.offset * 4) }
    }
    #expect(known.count == 90 && Set(known) == all)
  }

  @Test("No transposable pattern of a tile keeps more than the one that is found")
  func best() {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<50 {
      let scores = (0..<8 * 12).map { _ in Float(abs(generator.normal())) }
      let places = TransposableSearch.places(rows: 8, columns: 12, scores: scores)
      #expect(places == places.sorted() && places.count == 48)
      for top in stride(from: 0, to: 8, by: 4) {
        for left in stride(from: 0, to: 12, by: 4) {
          func score(_ row: Int, _ column: Int) -> Double { Double(scores[(top + row) * 12 + left + column]) }
          let found = places.reduce(0.0) { sum, place in
            let (row, column) = (place / 12 - top, place % 12 - left)
            return (0..<4).contains(row) && (0..<4).contains(column) ? sum + score(row, column) : sum
          }
          let most =
            TransposableSearch.patterns.map { pattern in
              (0..<4).reduce(0.0) { sum, row in
                (0..<4).reduce(sum) { TransposableSearch.pairs[pattern[row]] >> $1 & 1 == 1 ? $0 + score(row, $1) : $0 }
              }
            }.max() ?? 0
          // Two sums of eight numbers, one of them in fp32: seven roundings.
          #expect(found >= most * (1 - 2 * RoundingBound.gamma(7)))
        }
      }
    }
  }

  @Test("A cover touches every row and column that the places touch, with as few places as there can be")
  func cover() {
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<200 {
      let rows = 1 + generator.index(below: 4), columns = 1 + generator.index(below: 4)
      let ranked = (0..<rows * columns).filter { _ in generator.index(below: 3) > 0 }.shuffled(using: &generator)
      func touches(_ places: some Sequence<Int>) -> [Set<Int>] {
        [Set(places.map { $0 / columns }), Set(places.map { $0 % columns })]
      }
      let cover = Cover(rows: rows, columns: columns, ranked: ranked).places
      #expect(cover.isSubset(of: ranked) && touches(cover) == touches(ranked))
      let least = (0..<1 << ranked.count).filter { bits in
        touches(ranked.indices.filter { bits >> $0 & 1 == 1 }.map { ranked[$0] }) == touches(ranked)
      }.map(\.nonzeroBitCount).min()
      #expect(cover.count == least)
    }
  }

  @Test("The cubic schedule begins with all places, ends with those wanted, and never goes up")
  func cubic() {
    for (size, end) in [(1000, 100), (7, 3), (4, 2), (1, 1), (48, 48)] {
      let counts = (0...100).map { CubicSchedule.count(of: size, end: end, progress: Double($0) / 100) }
      #expect(counts.first == size && counts.last == end)
      #expect(zip(counts, counts.dropFirst()).allSatisfy { $0 >= $1 })
    }
    // Half way an eighth of the way is left: 0.1 + 0.9 / 8.
    #expect(CubicSchedule.count(of: 100_000, end: 10_000, progress: 0.5) == 21_250)
  }

  @Test("Patterns change as often as asked, between the ends asked for, and after the later end")
  func updates() {
    let schedule = UpdateSchedule(steps: 1000, updates: 50, from: 0.25, to: 0.75)
    let steps = (0...1000).filter { schedule.isUpdate(after: $0) }
    #expect(steps == Array(stride(from: 260, through: 750, by: 10)))
    for (count, updates) in [(48, 25), (600, 160), (601, 80), (10, 9), (10, 3)] {
      let schedule = UpdateSchedule(steps: count, updates: updates, from: 0, to: 1)
      let steps = (0...count).filter { schedule.isUpdate(after: $0) }
      #expect(steps.count == updates && steps.last == count - 1)
      #expect((0..<steps[0]).allSatisfy { schedule.progress(after: schedule.latest(upTo: $0)) == 0 })
      for step in steps[0]...count { #expect(schedule.latest(upTo: step) == steps.last { $0 <= step }) }
    }
    let short = UpdateSchedule(steps: 5, updates: 160, from: 0, to: 1)
    #expect((0...5).filter { short.isUpdate(after: $0) } == [1, 2, 3, 4])
  }
}
