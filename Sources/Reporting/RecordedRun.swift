import Foundation
import Records

/// What one training run of the survey left behind: its plan, its record, its curves.
///
/// A step that was written twice, as a resumed run does, counts once: the later line holds.
package struct RecordedRun: Sendable {
  /// A training step: loss in nats per token, and training time spent up to and with this step.
  package struct Step: Sendable {
    package var step: Int
    package var loss: Double?
    package var stepSeconds: Double?
    package var seconds: Double
    /// Floating-point operations up to and with this step.
    package var flops: Double
  }

  /// A validation loss, and the training time and operations spent before it.
  package struct Evaluation: Sendable, Equatable {
    package var step: Int
    package var seconds: Double
    package var flops: Double
    package var loss: Double
  }

  package let plan: SurveyRecord.Run
  package let record: RunRecord?
  package let isDone: Bool
  /// Why the run stopped, where its loss exploded.
  package let divergence: String?
  package let steps: [Step]
  package let evaluations: [Evaluation]
  package let peakBytes: Int?
  package let joulesPerToken: Double?
  package let gpuJoulesPerToken: Double?

  package init(
    plan: SurveyRecord.Run, record: RunRecord?, metrics: [MetricRecord], isDone: Bool, divergence: String? = nil
  ) {
    self.plan = plan
    self.record = record
    self.isDone = isDone
    self.divergence = divergence
    var trained: [Int: MetricRecord] = [:]
    var evaluated: [Int: Double] = [:]
    for metric in metrics {
      if metric.loss != nil || metric.stepSeconds != nil { trained[metric.step] = metric }
      if let loss = metric.validationLoss { evaluated[metric.step] = loss }
    }
    var seconds = 0.0, flops = 0.0
    var steps: [Step] = []
    for step in trained.keys.sorted() {
      guard let metric = trained[step] else { continue }
      seconds += metric.stepSeconds ?? 0
      flops += metric.flops ?? record?.flopsPerStep ?? 0
      steps.append(
        Step(step: step, loss: metric.loss, stepSeconds: metric.stepSeconds, seconds: seconds, flops: flops))
    }
    self.steps = steps
    var evaluations: [Evaluation] = []
    var next = 0
    var spent = (seconds: 0.0, flops: 0.0)
    for step in evaluated.keys.sorted() {
      while next < steps.count && steps[next].step <= step {
        spent = (steps[next].seconds, steps[next].flops)
        next += 1
      }
      evaluations.append(
        Evaluation(step: step, seconds: spent.seconds, flops: spent.flops, loss: evaluated[step] ?? .nan))
    }
    self.evaluations = evaluations
    peakBytes = trained.values.compactMap(\.peakBytes).max()
    let tokens = record.map { Double($0.configuration.batch) * Double($0.configuration.sequence) }
    /// Over the steps that have the number.
    func perToken(_ joules: [Double]) -> Double? {
      joules.isEmpty ? nil : tokens.map { joules.reduce(0, +) / (Double(joules.count) * $0) }
    }
    joulesPerToken = perToken(trained.values.compactMap(\.joules))
    // A counter that never moved was not read.
    gpuJoulesPerToken = perToken(trained.values.compactMap(\.gpuJoules)).flatMap { $0 > 0 ? $0 : nil }
  }

  /// DONE is there, and so is what a comparison needs.
  package var isFinished: Bool { isDone && record != nil && finalLoss != nil && totalSeconds > 0 }

  package var finalLoss: Double? { evaluations.last?.loss }
  package var bestLoss: Double? { evaluations.map(\.loss).min() }
  package var totalSeconds: Double { steps.last?.seconds ?? 0 }
  package var totalFlops: Double { steps.last?.flops ?? 0 }

  package func loss(atSeconds seconds: Double) -> Double? { loss(at: seconds, of: \.seconds) }
  package func loss(atFlops flops: Double) -> Double? { loss(at: flops, of: \.flops) }

  /// Validation loss when so much was spent on training, by linear interpolation between evaluations.
  ///
  /// A run that ended earlier keeps its last loss: that model was ready by then. Nil before the first evaluation.
  private func loss(at spent: Double, of effort: KeyPath<Evaluation, Double>) -> Double? {
    guard let first = evaluations.first, let last = evaluations.last, spent >= first[keyPath: effort] else {
      return nil
    }
    if spent >= last[keyPath: effort] { return last.loss }
    guard let after = evaluations.firstIndex(where: { $0[keyPath: effort] > spent }), after > 0 else {
      return first.loss
    }
    let (a, b) = (evaluations[after - 1], evaluations[after])
    let (from, to) = (a[keyPath: effort], b[keyPath: effort])
    return a.loss + (b.loss - a.loss) * (spent - from) / (to - from)
  }
}
