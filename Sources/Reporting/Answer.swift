import Foundation
import Records

/// The survey's outcome in words: the report's first paragraph, and a sentence for each structure.
package struct Answer {
  private let findings: Findings

  package init(_ findings: Findings) {
    self.findings = findings
  }

  private var equality: SurveyRecord.Equality { findings.recorded.survey.equality }

  /// Which structures pay, which trade, which do not, and whether dense is the best.
  package var paragraph: String {
    let survey = findings.recorded.survey
    let machine = survey.machine
    let setting =
      "On this machine (\(machine.processor), \(machine.threadsText), \(machine.isa)), at \(survey.modelPreset) with \(equality.effort("\(Numerals.grouped(survey.steps)) steps of \(Numerals.grouped(survey.tokensPerStep)) tokens")), "
    var groups: [Verdict: [String]] = [:]
    for result in findings.structures { groups[findings.verdict(of: result), default: []].append(result.name) }
    func names(_ verdict: Verdict) -> [String] { groups[verdict] ?? [] }
    var sentences: [String] = []
    if names(.pays).isEmpty {
      sentences.append(setting + "nothing pays: no structure is shown to reach \(equality.gain).")
    } else {
      let pays = names(.pays)
      sentences.append(
        setting + "\(Numerals.list(pays)) \(pays.count == 1 ? "pays" : "pay"): \(equality.gain).")
    }
    if !names(.mayPay).isEmpty {
      sentences.append(
        "\(Numerals.list(names(.mayPay))) may pay: by one seed, which says too little; --seeds 3 measures its spread.")
    }
    if !names(.trades).isEmpty {
      let trades = names(.trades)
      let which = trades.count > 4 ? trades : trades.map { name in exchange(name).map { "\(name) (\($0))" } ?? name }
      sentences.append(
        "\(Numerals.list(which)) \(trades.count == 1 ? "trades" : "trade") loss against time\(trades.count > 4 ? ", as the table says" : "")."
      )
    }
    if !names(.doNotUse).isEmpty { sentences.append("Do not use \(Numerals.list(names(.doNotUse))) here.") }
    if !names(.none).isEmpty { sentences.append("There is no verdict on \(Numerals.list(names(.none))).") }
    let wrong = findings.structures.filter { $0.verified == false }.map(\.name)
    if !wrong.isEmpty { sentences.append("A product of \(Numerals.list(wrong)) is WRONG.") }
    sentences.append(denseSentence)
    return sentences.joined(separator: " ")
  }

  /// Whether dense is the best at equal time, or at equal FLOPs where they are, or by how much it is not; simulated
  /// structures aside.
  package var denseSentence: String {
    guard let dense = findings.dense, dense.isFinished else {
      return "Whether dense is the best is not known: no dense run has finished."
    }
    let trained: [(name: String, comparison: Comparison)] = findings.structures.compactMap { result in
      guard !result.isDense, !result.isSimulated, result.verified != false,
        let comparison = findings.comparison(of: result)
      else {
        return nil
      }
      return (result.name, comparison)
    }
    guard let best = trained.min(by: { $0.comparison.decidingDifference < $1.comparison.decidingDifference }) else {
      return "Dense has nothing to be compared with yet: no structure has finished with every product verified."
    }
    let gap = best.comparison.decidingDifference
    let place = equality.decidingPhrase
    let amount = "\(Numerals.difference(gap, signed: false)) nats per token"
    // Where the runs were made for the comparison, the loss that all are held against.
    let level =
      equality == .steps
      ? ""
      : " \(place.prefix(1).uppercased() + place.dropFirst()) dense's loss is \(Numerals.loss(dense.finalLosses.mean))."
    if gap >= 0 {
      return "Dense is the best \(place): the next, \(best.name), is \(amount) above it.\(level)"
    }
    guard let spread = best.comparison.decidingSpread else {
      return
        "Dense is not the lowest \(place), \(best.name) is \(amount) below it, but the spread over seeds is unknown, so this is no win.\(level)"
    }
    if -gap <= spread {
      return
        "Dense is not shown to be beaten: \(best.name) is \(amount) below it \(place), within the spread of \(Numerals.difference(spread, signed: false)) over seeds.\(level)"
    }
    guard best.comparison.hasOwnSpread else {
      return
        "Dense is not shown to be beaten: \(best.name) is \(amount) below it \(place), beyond the spread of \(Numerals.difference(spread, signed: false)) over dense's seeds, but by one seed of its own.\(level)"
    }
    return
      "Dense is not the best: \(place) \(best.name) is \(amount) below it, where the spread over seeds is \(Numerals.difference(spread, signed: false)).\(level)"
  }

  /// The verdict on one structure in a sentence, with the numbers that it rests on.
  package func reason(for result: StructureResult) -> String {
    if result.verified == false {
      let wrong = findings.wrong.count { $0.structure == result.label }
      return
        "WRONG: \(wrong) of its bench records \(wrong == 1 ? "is" : "are") not verified against the definition, so nothing here counts."
    }
    if result.isDense {
      return result.isFinished
        ? "What every other structure is compared with." : "No dense run has finished, so nothing can be compared."
    }
    if result.runs.isEmpty { return "It was timed but not trained." }
    if !result.isFinished {
      return result.runs.count == 1 ? "Its run is not finished." : "None of its \(result.runs.count) runs is finished."
    }
    guard let comparison = findings.comparison(of: result) else {
      return findings.dense?.isFinished == true
        ? "It has no validation loss by the time at which dense finished."
        : "No dense run has finished to compare with."
    }
    var sentence = numbers(comparison, of: result)
    if result.isSimulated {
      sentence +=
        " It is simulated: it multiplies its zeros, so its time is no less than that of dense and says nothing; there is no verdict."
    }
    if result.finished.count < result.runs.count {
      sentence += " \(result.finished.count) of \(result.runs.count) seeds have finished."
    }
    if result.verified == nil && !result.isNarrow {
      sentence += " It has no bench record, so its products were not checked in this survey."
    }
    return sentence
  }

  /// "step time −36%, loss +0.016"; "run time" where whole runs are compared.
  private func exchange(_ name: String) -> String? {
    findings.structures.first { $0.name == name }.flatMap(findings.comparison(of:)).map {
      "\(equality.timed) time \(Numerals.percent($0.relativeSeconds - 1, signed: true)), loss \(Numerals.difference($0.finalDifference))"
    }
  }

  /// "A step takes 36% less time than with dense", "It has 187 steps where dense has 130, and its run takes as long as that
  /// of dense, within 2.0%".
  private func time(_ c: Comparison, of result: StructureResult) -> String {
    let amount =
      if c.isFaster {
        "\(Numerals.percent(1 - c.relativeSeconds)) less time than"
      } else if c.isSlower {
        "\(Numerals.percent(c.relativeSeconds - 1)) more time than"
      } else {
        "as long as"
      }
    let isEqual = !c.isFaster && !c.isSlower
    if equality == .steps {
      return "A step takes \(amount) with dense"
        + (isEqual ? ", within its spread of \(Numerals.percent(c.timeSpread))" : "")
    }
    let within = isEqual ? ", within \(Numerals.percent(c.timeSpread))" : ""
    let steps = result.steps.map(Numerals.grouped) ?? Numerals.unknown
    return
      "It has \(steps) steps where dense has \(Numerals.grouped(findings.recorded.survey.steps)), and its run takes \(amount) that of dense\(within)"
  }

  private func numbers(_ c: Comparison, of result: StructureResult) -> String {
    func relation(_ x: Double) -> String {
      x == 0
        ? "equal to that of dense"
        : "\(Numerals.difference(x, signed: false)) \(x < 0 ? "below" : "above") that of dense"
    }
    let final = equality == .steps ? "the final loss" : "\(equality.phrase) its loss"
    var sentence = "\(time(c, of: result)); \(final) is \(relation(c.finalDifference))"
    if Numerals.difference(c.equalTimeDifference) != Numerals.difference(c.finalDifference) {
      let phrase = equality == .time ? "when dense had finished" : "at equal time"
      sentence += ", \(phrase) \(relation(c.equalTimeDifference))"
    }
    guard let finalSpread = c.finalSpread, let equalTimeSpread = c.equalTimeSpread else {
      return sentence + "; the spread over seeds is unknown (one seed), so there is no verdict."
    }
    if abs(c.finalDifference) <= finalSpread && abs(c.equalTimeDifference) <= equalTimeSpread {
      sentence += "; this is within the spread of \(Numerals.difference(finalSpread, signed: false)) over seeds"
      if c.verdict == .none { sentence += ", so more seeds or a longer run must decide" }
      return sentence + "."
    }
    return sentence + "; the spread over seeds is \(Numerals.difference(finalSpread, signed: false))."
  }
}
