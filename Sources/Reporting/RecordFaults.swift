import Foundation
import Records

/// What makes a record that decodes unusable: another schema, or numbers that no measurement gives.
///
/// Each returns nil for a usable record and otherwise the part of a sentence that says why.
enum RecordFaults {
  private static let mostSteps = 1 << 50

  static func of(_ survey: SurveyRecord) -> String? {
    if survey.schema != SurveyRecord.schemaName {
      return "its schema is \"\(survey.schema)\", not \"\(SurveyRecord.schemaName)\""
    }
    if survey.runs.count > 4096 { return "it plans more than 4096 runs" }
    for run in survey.runs {
      let name = run.directory
      if name.isEmpty || name.contains("/") || name == "." || name == ".." || name.contains("\0") {
        return "the run directory \"\(name.prefix(80))\" is not a plain name"
      }
      if !isPositive(run.requestedDensity) { return "a run's requestedDensity is not positive" }
      if !(1...mostSteps).contains(survey.steps(of: run)) { return "a run's steps are not from 1 to 2^50" }
    }
    if Set(survey.runs.map(\.directory)).count != survey.runs.count { return "two runs share a directory" }
    if !survey.corpus.unigramEntropy.isFinite { return "unigramEntropy is not finite" }
    return nil
  }

  static func of(_ bench: BenchRecord) -> String? {
    if bench.schema != BenchRecord.schemaName {
      return "its schema is \"\(bench.schema)\", not \"\(BenchRecord.schemaName)\""
    }
    if bench.outputs < 1 || bench.inputs < 1 || bench.tokens < 1 {
      return "outputs, inputs and tokens must be positive"
    }
    let positive = [
      ("density", bench.density), ("requestedDensity", bench.requestedDensity), ("seconds", bench.seconds),
      ("dense.seconds", bench.dense.seconds), ("speedup", bench.speedup), ("idealSpeedup", bench.idealSpeedup),
    ]
    if let name = positive.first(where: { !isPositive($0.1) })?.0 {
      return "\(name) must be positive and within reason"
    }
    let finite = [
      bench.spread, bench.efficiency, bench.predictedSeconds, bench.errorFraction, bench.flops, bench.bytes,
    ]
    return finite.allSatisfy { $0.isFinite && $0 >= 0 } ? nil : "a number is negative or not finite"
  }

  static func of(_ run: RunRecord) -> String? {
    if run.schema != RunRecord.schemaName {
      return "its schema is \"\(run.schema)\", not \"\(RunRecord.schemaName)\""
    }
    if run.parameters.whole < 1 { return "parameters.whole must be positive" }
    if !isPositive(run.density.mlp) { return "density.mlp must be positive" }
    if run.configuration.batch < 1 || run.configuration.sequence < 1 { return "batch and sequence must be positive" }
    return nil
  }

  static func of(_ metric: MetricRecord) -> String? {
    if metric.step < 0 || metric.tokens < 0 || metric.step > mostSteps {
      return "step or tokens is negative or beyond 2^50"
    }
    let numbers = [metric.loss, metric.validationLoss, metric.stepSeconds, metric.joules, metric.gpuJoules].compactMap {
      $0
    }
    if !numbers.allSatisfy({ $0.isFinite && $0 >= 0 && $0 < 1e12 }) {
      return "a loss, time or energy is negative, not finite or beyond 1e12"
    }
    if let seconds = metric.stepSeconds, seconds < 1e-12 { return "stepSeconds must be positive" }
    return nil
  }

  /// Far wider than anything measured, far narrower than what arithmetic on it could overflow.
  private static func isPositive(_ x: Double) -> Bool { x > 1e-30 && x < 1e30 }
}
