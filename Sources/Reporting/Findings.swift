import Foundation
import Records

/// The structures of a survey, each compared with dense.
package struct Findings: Sendable {
  package let recorded: RecordedSurvey
  package let structures: [StructureResult]
  package let dense: StructureResult?
  /// The bench's token count nearest, as a ratio, to a training step's.
  package let benchTokens: Int?
  /// When dense had finished: the median of its finished runs' training seconds.
  package let equalTimeSeconds: Double?
  /// What dense had done by then: the median of its finished runs' operations.
  package let equalFlops: Double?

  package init(_ recorded: RecordedSurvey) {
    self.recorded = recorded
    let survey = recorded.survey
    struct Key: Equatable {
      let label: String
      let density: Double
      let variant: String?
    }
    var keys: [Key] = []
    func note(_ key: Key) { if !keys.contains(key) { keys.append(key) } }
    func key(_ run: SurveyRecord.Run) -> Key {
      Key(label: run.structure, density: run.requestedDensity, variant: run.variant)
    }
    for run in survey.runs { note(key(run)) }
    if survey.runs.isEmpty {
      for record in recorded.bench {
        note(Key(label: record.structure, density: record.requestedDensity, variant: nil))
      }
    }
    structures = keys.map { own in
      StructureResult(
        label: own.label, requestedDensity: own.density, variant: own.variant,
        isAmbiguous: keys.contains { $0.label == own.label && $0.density != own.density },
        runs: recorded.runs.filter { key($0.plan) == own }, bench: recorded.bench)
    }
    dense = structures.first(where: \.isDense)
    let wanted = Double(max(1, survey.tokensPerStep))
    benchTokens = Set(recorded.bench.map(\.tokens)).min {
      let (a, b) = (abs(log(Double($0) / wanted)), abs(log(Double($1) / wanted)))
      return a == b ? $0 > $1 : a < b
    }
    equalTimeSeconds = Sample((dense?.finished ?? []).map(\.totalSeconds)).median
    let flops = Sample((dense?.finished ?? []).map(\.totalFlops)).median
    equalFlops = flops.flatMap { $0 > 0 ? $0 : nil }
  }

  /// The final loss above (or, negative, below) that of the dense MLP with as many parameters; nil without that control.
  package func differenceToNarrow(of result: StructureResult) -> Double? {
    guard !result.isDense, !result.isNarrow, let loss = result.finalLosses.mean else { return nil }
    return narrow(for: result)?.finalLosses.mean.map { loss - $0 }
  }

  private func narrow(for result: StructureResult) -> StructureResult? {
    structures.first { $0.isNarrow && $0.requestedDensity == result.requestedDensity }
  }

  /// By more than 3 % of narrow's parameters.
  package func isSmallerThanNarrow(_ result: StructureResult) -> Bool {
    guard let own = result.parameters, let control = narrow(for: result)?.parameters else { return false }
    return Double(own) < 0.97 * Double(control)
  }

  /// What the difference to narrow must exceed: the largest range over seeds of the two and dense.
  package func spreadToNarrow(of result: StructureResult) -> Double? {
    [result, narrow(for: result), dense].compactMap { $0?.finalLosses.range }.max()
  }

  /// Bench records that the check against the definition refuted, or that were never checked.
  package var wrong: [BenchRecord] { recorded.bench.filter { !$0.verified } }

  package var equality: SurveyRecord.Equality { recorded.survey.equality }

  /// Of the whole run / that of dense.
  package func relativeTrainingSeconds(of result: StructureResult) -> Double? {
    result.trainingSeconds.flatMap { own in equalTimeSeconds.flatMap { $0 > 0 ? own / $0 : nil } }
  }

  /// What is nearer to 1 than this counts as equal; at equal time at least the spacing of dense's evaluations, which no
  /// loss resolves.
  private func timeSpread(of result: StructureResult) -> Double {
    let evaluations = dense?.finished.first?.evaluations.count { $0.step > 0 } ?? 0
    let spacing = evaluations > 0 ? 1 / Double(evaluations) : nil
    return [result.stepSpread, dense?.stepSpread, equality == .time ? spacing : nil].compactMap { $0 }.max() ?? 0
  }

  /// When dense had finished. At equal time the final losses, unless the runs took another time than was planned.
  package func lossesAtEqualTime(of result: StructureResult) -> Sample {
    if equality == .time, let relative = relativeTrainingSeconds(of: result),
      abs(relative - 1) <= timeSpread(of: result)
    {
      return result.finalLosses
    }
    return result.losses(atSeconds: equalTimeSeconds)
  }

  /// After the operations of dense; the final losses where those are equal.
  package func lossesAtEqualFlops(of result: StructureResult) -> Sample {
    equality == .flops ? result.finalLosses : result.losses(atFlops: equalFlops)
  }

  /// Nil unless both the structure and dense have finished.
  package func comparison(of result: StructureResult) -> Comparison? {
    guard let dense, let step = result.stepSeconds, let denseStep = dense.stepSeconds, denseStep > 0,
      let whole = relativeTrainingSeconds(of: result),
      let final = result.finalLosses.mean, let denseFinal = dense.finalLosses.mean,
      let equal = lossesAtEqualTime(of: result).mean, let denseEqual = lossesAtEqualTime(of: dense).mean
    else { return nil }
    func larger(_ a: Double?, _ b: Double?) -> Double? { [a, b].compactMap { $0 }.max() }
    return Comparison(
      equality: equality, relativeSeconds: equality == .steps ? step / denseStep : whole,
      timeSpread: timeSpread(of: result),
      finalDifference: final - denseFinal, equalTimeDifference: equal - denseEqual,
      finalSpread: larger(result.finalLosses.range, dense.finalLosses.range),
      equalTimeSpread: larger(lossesAtEqualTime(of: result).range, lossesAtEqualTime(of: dense).range),
      hasOwnSpread: result.finalLosses.range != nil)
  }

  /// A simulated structure has none: every verdict rests on a time, and its own says nothing.
  package func verdict(of result: StructureResult) -> Verdict {
    if result.verified == false || result.isSimulated { return .none }
    if result.isDense { return .reference }
    return comparison(of: result)?.verdict ?? .none
  }

  package var summary: SummaryRecord {
    let survey = recorded.survey
    return SummaryRecord(
      answer: Answer(self).paragraph, equal: equality, equalTimeSeconds: equalTimeSeconds, equalFlops: equalFlops,
      tokensPerParameter: tokensPerParameter,
      structures: structures.map(summary(of:)), missing: recorded.missing, commit: survey.commit, time: survey.time)
  }

  /// Of a whole run; nil where a record's numbers multiply beyond all tokens.
  package func tokens(of result: StructureResult) -> Int? {
    guard let (tokens, isTooLarge) = result.steps?.multipliedReportingOverflow(by: recorded.survey.tokensPerStep) else {
      return nil
    }
    return isTooLarge ? nil : tokens
  }

  package var tokensPerParameter: Double? {
    guard let parameters = dense?.parameters ?? structures.compactMap(\.parameters).max() else { return nil }
    return Double(recorded.survey.steps) * Double(recorded.survey.tokensPerStep) / Double(parameters)
  }

  /// A structure with an unverified product has no speed: its speed-ups, ratios of time and loss at equal time are null.
  private func summary(of result: StructureResult) -> SummaryRecord.Structure {
    let own = result.finalLosses.range
    let borrowed = own ?? (result.isFinished ? dense?.finalLosses.range : nil)
    let final = result.finalLosses.mean
    let denseStep = dense?.stepSeconds
    let isWrong = result.verified == false
    let relative = isWrong ? nil : result.stepSeconds.flatMap { step in denseStep.flatMap { $0 > 0 ? step / $0 : nil } }
    func speedup(_ pass: String) -> Double? {
      isWrong ? nil : result.medianSpeedup(pass, tokens: benchTokens)
    }
    return SummaryRecord.Structure(
      label: result.label, variant: result.variant, requestedDensity: result.requestedDensity, density: result.density,
      parameters: result.parameters, effectiveWidth: result.effectiveWidth, seedsPlanned: result.runs.count,
      seedsFinished: result.finished.count, steps: result.steps,
      tokens: tokens(of: result),
      medianSpeedup: SummaryRecord.Speedups(
        forward: speedup("forward"), inputGradient: speedup("inputGradient"),
        weightGradient: speedup("weightGradient")),
      stepSeconds: result.stepSeconds, relativeStepSeconds: relative, stepSpread: result.stepSpread,
      trainingSeconds: result.trainingSeconds,
      relativeTrainingSeconds: isWrong ? nil : relativeTrainingSeconds(of: result),
      finalValidationLoss: final, bestValidationLoss: result.bestLosses.mean,
      differenceToDense: final.flatMap { loss in dense?.finalLosses.mean.map { loss - $0 } },
      spread: borrowed, spreadSource: own != nil ? "seeds" : (borrowed != nil ? "dense" : "unknown"),
      lossAtEqualTime: isWrong ? nil : lossesAtEqualTime(of: result).mean,
      lossAtEqualFlops: lossesAtEqualFlops(of: result).mean, differenceToNarrow: differenceToNarrow(of: result),
      learningRate: result.learningRate,
      rates: result.sweep.compactMap { run in
        run.plan.learningRate.map {
          SummaryRecord.Rate(learningRate: $0, finalValidationLoss: run.isFinished ? run.finalLoss : nil)
        }
      }, averageParameters: result.averageParameters, trainingFlops: result.trainingFlops,
      tokensPerParameter: result.tokensPerParameter, peakBytes: result.peakBytes,
      joulesPerToken: result.joulesPerToken, gpuJoulesPerToken: result.gpuJoulesPerToken,
      simulated: result.isSimulated, verified: result.verified,
      verdict: verdict(of: result),
      reason: Answer(self).reason(for: result))
  }
}
