import Arrays
import Records

/// Sparse evolutionary training: now and then the smallest weights go and as many come anywhere at random.
///
/// The constants are those of the dynamic runs of Dietrich et al. (2021, arXiv 2108.06277): half of the weights at first,
/// decayed by a cosine, at 160 moments of the run (80 for blocks), smallest L1 norm first.
package struct SET: SparsifyingMethod {
  package static let card = MethodCard(
    name: "set", summary: "the smallest weights leave, others come at random",
    source: "Mocanu et al. 2018 (Nature Communications 9:2383); constants Dietrich et al. 2021 (arXiv 2108.06277)")

  private let schedule: UpdateSchedule
  private let fraction: Double

  package static func settings(for label: String) -> TrainingConfiguration.Method {
    TrainingConfiguration.Method(
      name: card.name, updates: label.hasPrefix("bsr") ? 80 : 160, dropFraction: 0.5, start: 0, stop: 1)
  }

  package init(_ settings: TrainingConfiguration.Method, steps: Int) {
    schedule = UpdateSchedule(
      steps: steps, updates: settings.updates ?? 160, from: settings.start ?? 0, to: settings.stop ?? 1)
    fraction = settings.dropFraction ?? 0.5
  }

  package func isUpdate(after step: Int) -> Bool { schedule.isUpdate(after: step) }

  package func next(
    _ sites: Sites, now: [Int], scores: [Float], gradient: [Float]?, after step: Int,
    using generator: inout SeededGenerator
  ) -> [Int] {
    Exchange(sites: sites, scores: scores).run(
      now, count: Int(schedule.decayed(fraction, after: step) * Double(now.count)), growth: .random, using: &generator)
  }
}
