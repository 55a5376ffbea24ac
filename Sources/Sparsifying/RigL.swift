import Arrays
import Records

/// The smallest weights go, and those come whose gradient is largest.
///
/// The gradient of all weights is computed at the step of a change and at no other. How many go and when is this
/// program's choice: three tenths at first, decayed by a cosine, until three quarters of the run, at the moments of SET.
package struct RigL: SparsifyingMethod {
  package static let card = MethodCard(
    name: "rigl", summary: "the smallest weights leave, those of largest gradient come",
    source: "Evci et al. 2020 (arXiv 1911.11134)")

  private let schedule: UpdateSchedule
  private let fraction: Double

  package static func settings(for label: String) -> TrainingConfiguration.Method {
    var settings = SET.settings(for: label)
    settings.name = card.name
    settings.dropFraction = 0.3
    settings.stop = 0.75
    return settings
  }

  package init(_ settings: TrainingConfiguration.Method, steps: Int) {
    schedule = UpdateSchedule(
      steps: steps, updates: settings.updates ?? 160, from: settings.start ?? 0, to: settings.stop ?? 0.75)
    fraction = settings.dropFraction ?? 0.3
  }

  package var needsDenseGradient: Bool { true }
  package func isUpdate(after step: Int) -> Bool { schedule.isUpdate(after: step) }

  package func next(
    _ sites: Sites, now: [Int], scores: [Float], gradient: [Float]?, after step: Int,
    using generator: inout SeededGenerator
  ) -> [Int] {
    guard let gradient else { preconditionFailure("RigL asks for the gradient of all weights") }
    return Exchange(sites: sites, scores: scores).run(
      now, count: Int(schedule.decayed(fraction, after: step) * Double(now.count)), growth: .gradient(gradient),
      using: &generator)
  }
}
