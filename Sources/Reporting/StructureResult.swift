import Foundation
import Records

/// One structure at one requested density, trained in one way: its runs over all seeds, its bench records, and what they amount to.
///
/// Step times come from the finished runs, or while there is none from the steps recorded so far; losses come from
/// finished runs only.
package struct StructureResult: Sendable {
  package let label: String
  package let requestedDensity: Double
  /// A method or "self-guided"; nil for the plain way.
  package let variant: String?
  /// The label, with the density where the survey has the label at several, "simulated" where it is, and the way of
  /// training.
  package let name: String
  /// True if its bench records say that it multiplies its zeros: its time is no measure of what sparsity gains.
  package let isSimulated: Bool
  /// One for each seed. Of a sweep over learning rates the run with the lowest final loss stands for its seed.
  package let runs: [RecordedRun]
  /// All runs of the sweep, by rate.
  package let sweep: [RecordedRun]
  /// Every bench record of this label and density.
  package let bench: [BenchRecord]
  /// False if any bench record of the label was not verified: its code is then in doubt at every density.
  package let verified: Bool?

  package init(
    label: String, requestedDensity: Double, variant: String? = nil, isAmbiguous: Bool, runs: [RecordedRun],
    bench all: [BenchRecord]
  ) {
    self.label = label
    self.requestedDensity = requestedDensity
    self.variant = variant
    let own = all.filter { $0.structure == label }
    isSimulated = own.contains { $0.simulated == true }
    name =
      (isAmbiguous ? "\(label) at \(Numerals.significant(requestedDensity, 2))" : label)
      + (isSimulated ? " (simulated)" : "") + (variant.map { " (\($0))" } ?? "")
    sweep = runs.filter { $0.plan.learningRate != nil }
      .sorted { ($0.plan.learningRate ?? 0) < ($1.plan.learningRate ?? 0) }
    let best = sweep.filter(\.isFinished).min { ($0.finalLoss ?? .infinity) < ($1.finalLoss ?? .infinity) }
    let runs = [best ?? sweep.first].compactMap { $0 } + runs.filter { $0.plan.learningRate == nil }
    self.runs = runs
    verified = own.isEmpty ? nil : own.allSatisfy(\.verified)
    let asked = own.filter { abs($0.requestedDensity - requestedDensity) <= 1e-9 * requestedDensity }
    if let density = runs.compactMap({ $0.record?.density.mlp }).first, asked.isEmpty {
      bench = own.filter { abs($0.density - density) <= 0.05 * density }
    } else {
      bench = asked
    }
  }

  package var isDense: Bool { label == "dense" }
  package var isNarrow: Bool { label == "narrow" }
  package var finished: [RecordedRun] { runs.filter(\.isFinished) }
  package var isFinished: Bool { !finished.isEmpty }
  private var records: [RunRecord] { runs.compactMap(\.record) }
  package var density: Double? { records.first?.density.mlp }
  package var parameters: Int? { records.first?.parameters.whole }
  /// Of the first seed's run; those of a guided structure's other seeds differ by a few where operations are equal.
  package var steps: Int? { records.first?.configuration.steps }
  package var effectiveWidth: Int? { records.map(\.effectiveWidth).min() }

  package var averageParameters: Double? { records.compactMap(\.averageParameters).first }
  package var trainingFlops: Double? { records.compactMap(\.trainingFlops).first }
  package var tokensPerParameter: Double? { records.compactMap(\.tokensPerParameter).first }
  /// Peak of the schedule of the runs that count.
  package var learningRate: Double? { records.first?.configuration.learningRate }

  package var finalLosses: Sample { Sample(finished.compactMap(\.finalLoss)) }
  package var bestLosses: Sample { Sample(finished.compactMap(\.bestLoss)) }

  /// Over the finished seeds; nil values where one of them had no evaluation by then.
  package func losses(atSeconds seconds: Double?) -> Sample {
    guard let seconds else { return Sample([]) }
    return complete(finished.map { $0.loss(atSeconds: seconds) })
  }

  package func losses(atFlops flops: Double?) -> Sample {
    guard let flops else { return Sample([]) }
    return complete(finished.map { $0.loss(atFlops: flops) })
  }

  private func complete(_ losses: [Double?]) -> Sample {
    Sample(losses.contains { $0 == nil } ? [] : losses.compactMap { $0 })
  }

  private var stepTimes: [Sample] {
    (isFinished ? finished : runs).map { Sample($0.steps.compactMap(\.stepSeconds)) }.filter { !$0.sorted.isEmpty }
  }

  package var stepSeconds: Double? { Sample(stepTimes.compactMap(\.median)).median }
  /// The larger of the deviation within a run and the range of the runs' medians: a machine that drifts between runs
  /// shows in the second only.
  package var stepSpread: Double? {
    let medians = stepTimes.compactMap(\.median)
    guard let within = Sample(stepTimes.compactMap(\.relativeDeviation)).median, let middle = Sample(medians).median,
      let low = medians.min(), let high = medians.max(), middle > 0
    else { return nil }
    return max(within, (high - low) / middle)
  }
  /// Of a whole run: the median over the finished ones.
  package var trainingSeconds: Double? { Sample(finished.map(\.totalSeconds)).median }
  package var peakBytes: Int? { runs.compactMap(\.peakBytes).max() }
  package var joulesPerToken: Double? { Sample(runs.compactMap(\.joulesPerToken)).median }
  package var gpuJoulesPerToken: Double? { Sample(runs.compactMap(\.gpuJoulesPerToken)).median }

  /// Median of the verified records of `pass` at `tokens`.
  package func medianSpeedup(_ pass: String, tokens: Int?) -> Double? {
    Sample(bench.filter { $0.verified && $0.pass == pass && $0.tokens == tokens }.map(\.speedup)).median
  }
}
