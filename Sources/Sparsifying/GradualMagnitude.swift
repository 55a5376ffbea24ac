import Arrays
import Records

/// Dense at first; then the smallest weights go, by a cubic, from a quarter of the run to three quarters.
///
/// The two ends are near the best of 80 schedules that Jin et al. (2025, arXiv 2501.12486) tried, at equal compute. What
/// has gone does not come back.
package struct GradualMagnitude: SparsifyingMethod {
  package static let card = MethodCard(
    name: "magnitude", summary: "dense at first, the smallest weights leave by a cubic schedule",
    source: "Zhu and Gupta 2017 (arXiv 1710.01878); ends of the schedule Jin et al. 2025 (arXiv 2501.12486)")

  private let schedule: UpdateSchedule

  package static func settings(for label: String) -> TrainingConfiguration.Method {
    TrainingConfiguration.Method(name: card.name, updates: 80, start: 0.25, stop: 0.75)
  }

  package init(_ settings: TrainingConfiguration.Method, steps: Int) {
    schedule = UpdateSchedule(
      steps: steps, updates: settings.updates ?? 80, from: settings.start ?? 0.25, to: settings.stop ?? 0.75)
  }

  package var beginsDense: Bool { true }
  package func isUpdate(after step: Int) -> Bool { schedule.isUpdate(after: step) }

  package func count(in sites: Sites, after step: Int) -> Int {
    // Between two changes the pattern is that of the last one.
    let last = schedule.latest(upTo: step)
    return CubicSchedule.count(of: sites.groupSize, end: sites.finalCount, progress: schedule.progress(after: last))
  }

  package func next(
    _ sites: Sites, now: [Int], scores: [Float], gradient: [Float]?, after step: Int,
    using generator: inout SeededGenerator
  ) -> [Int] {
    let wanted = count(in: sites, after: step)
    let ranked = Ranking.descending(now, by: scores)
    var left = [Int](repeating: wanted, count: sites.groupCount)
    var kept: [Int] = []
    if sites.covers {
      let cover = Cover(rows: sites.rows, columns: sites.columns, ranked: ranked).places
      if cover.count <= wanted { kept = cover.sorted() }
    }
    for place in kept { left[place / sites.groupSize] -= 1 }
    let reserved = Set(kept)
    for place in ranked where left[place / sites.groupSize] > 0 && !reserved.contains(place) {
      kept.append(place)
      left[place / sites.groupSize] -= 1
    }
    return kept.sorted()
  }
}
