import Foundation
import Records

/// One structure at one requested density: its runs over all seeds, its bench records, and what they amount to.
///
/// Step times come from the finished runs, or while there is none from the steps recorded so far; losses come from
/// finished runs only.
package struct StructureResult: Sendable {
  package let label: String
  package let requestedDensity: Double
  /// The label, with the density where the survey has the label at several.
  package let name: String
  package let runs: [RecordedRun]
  /// Every bench record of this label and density.
  package let bench: [BenchRecord]
  /// False if any bench record of the label was not verified: its code is then in doubt at every density.
  package let verified: Bool?

  package init(
    label: String, requestedDensity: Double, isAmbiguous: Bool, runs: [RecordedRun], bench all: [BenchRecord]
  ) {
    self.label = label
    self.requestedDensity = requestedDensity
    name = isAmbiguous ? "\(label) at \(Numerals.significant(requestedDensity, 2))" : label
    self.runs = runs
    let own = all.filter { $0.structure == label }
    verified = own.isEmpty ? nil : own.allSatisfy(\.verified)
    let asked = own.filter { abs($0.requestedDensity - requestedDensity) <= 1e-9 * requestedDensity }
    if let density = runs.compactMap({ $0.record?.density.mlp }).first, asked.isEmpty {
      bench = own.filter { abs($0.density - density) <= 0.05 * density }
    } else {
      bench = asked
    }
  }

  package var isDense: Bool { label == "dense" }
  package var finished: [RecordedRun] { runs.filter(\.isFinished) }
  package var isFinished: Bool { !finished.isEmpty }
  private var records: [RunRecord] { runs.compactMap(\.record) }
  package var density: Double? { records.first?.density.mlp }
  package var parameters: Int? { records.first?.parameters.whole }
  package var effectiveWidth: Int? { records.map(\.effectiveWidth).min() }

  package var finalLosses: Sample { Sample(finished.compactMap(\.finalLoss)) }
  package var bestLosses: Sample { Sample(finished.compactMap(\.bestLoss)) }

  /// Over the finished seeds; nil values where one of them had no evaluation by then.
  package func losses(atSeconds seconds: Double?) -> Sample {
    guard let seconds else { return Sample([]) }
    let losses = finished.map { $0.loss(atSeconds: seconds) }
    return Sample(losses.contains { $0 == nil } ? [] : losses.compactMap { $0 })
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
  package var peakBytes: Int? { runs.compactMap(\.peakBytes).max() }
  package var joulesPerToken: Double? { Sample(runs.compactMap(\.joulesPerToken)).median }

  /// Median of the verified records of `pass` at `tokens`.
  package func medianSpeedup(_ pass: String, tokens: Int?) -> Double? {
    Sample(bench.filter { $0.verified && $0.pass == pass && $0.tokens == tokens }.map(\.speedup)).median
  }
}
