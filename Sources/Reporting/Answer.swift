import Foundation
import Records

/// The survey's outcome in words: the report's first paragraph, and a sentence for each structure.
package struct Answer {
  private let findings: Findings

  package init(_ findings: Findings) {
    self.findings = findings
  }

  /// Which structures pay, which trade, which do not, and whether dense is the best.
  package var paragraph: String {
    let survey = findings.recorded.survey
    let machine = survey.machine
    let setting =
      "On this machine (\(machine.processor), \(machine.threads) thread\(machine.threads == 1 ? "" : "s"), \(machine.isa)), at \(survey.modelPreset) with \(Numerals.grouped(survey.steps)) steps of \(Numerals.grouped(survey.tokensPerStep)) tokens, "
    var groups: [Verdict: [String]] = [:]
    for result in findings.structures { groups[findings.verdict(of: result), default: []].append(result.name) }
    func names(_ verdict: Verdict) -> [String] { groups[verdict] ?? [] }
    var sentences: [String] = []
    if names(.pays).isEmpty {
      sentences.append(setting + "nothing pays: no structure is shown to reach a lower loss than dense at equal time.")
    } else {
      let pays = names(.pays)
      sentences.append(
        setting + "\(Numerals.list(pays)) \(pays.count == 1 ? "pays" : "pay"): a lower loss than dense at equal time.")
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

  /// Whether dense is the best at equal time, or by how much it is not.
  package var denseSentence: String {
    guard let dense = findings.dense, dense.isFinished else {
      return "Whether dense is the best is not known: no dense run has finished."
    }
    let trained: [(name: String, comparison: Comparison)] = findings.structures.compactMap { result in
      guard !result.isDense, result.verified != false, let comparison = findings.comparison(of: result) else {
        return nil
      }
      return (result.name, comparison)
    }
    guard let best = trained.min(by: { $0.comparison.equalTimeDifference < $1.comparison.equalTimeDifference }) else {
      return "Dense has nothing to be compared with yet: no structure has finished with every product verified."
    }
    let gap = best.comparison.equalTimeDifference
    if gap >= 0 {
      return
        "Dense is the best at equal time: the next, \(best.name), is \(Numerals.difference(gap, signed: false)) nats per token above it."
    }
    let amount = "\(Numerals.difference(gap, signed: false)) nats per token"
    guard let spread = best.comparison.equalTimeSpread else {
      return
        "Dense is not the lowest at equal time, \(best.name) is \(amount) below it, but the spread over seeds is unknown, so this is no win."
    }
    if -gap <= spread {
      return
        "Dense is not shown to be beaten: \(best.name) is \(amount) below it at equal time, within the spread of \(Numerals.difference(spread, signed: false)) over seeds."
    }
    return
      "Dense is not the best: at equal time \(best.name) is \(amount) below it, where the spread over seeds is \(Numerals.difference(spread, signed: false))."
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
    var sentence = numbers(comparison)
    if result.isSimulated {
      sentence += " It is simulated: it multiplies its zeros, so its time is no less than that of dense."
    }
    if result.finished.count < result.runs.count {
      sentence += " \(result.finished.count) of \(result.runs.count) seeds have finished."
    }
    if result.verified == nil && !result.isNarrow {
      sentence += " It has no bench record, so its products were not checked in this survey."
    }
    return sentence
  }

  /// "step time −36%, loss +0.016".
  private func exchange(_ name: String) -> String? {
    findings.structures.first { $0.name == name }.flatMap(findings.comparison(of:)).map {
      "step time \(Numerals.percent($0.relativeStepSeconds - 1, signed: true)), loss \(Numerals.difference($0.finalDifference))"
    }
  }

  private func numbers(_ c: Comparison) -> String {
    let time: String
    if c.isFaster {
      time = "A step takes \(Numerals.percent(1 - c.relativeStepSeconds)) less time than with dense"
    } else if c.isSlower {
      time = "A step takes \(Numerals.percent(c.relativeStepSeconds - 1)) more time than with dense"
    } else {
      time = "A step takes as long as with dense, within its spread of \(Numerals.percent(c.stepSpread))"
    }
    func relation(_ x: Double) -> String {
      x == 0
        ? "equal to that of dense"
        : "\(Numerals.difference(x, signed: false)) \(x < 0 ? "below" : "above") that of dense"
    }
    var sentence = "\(time); the final loss is \(relation(c.finalDifference))"
    if Numerals.difference(c.equalTimeDifference) != Numerals.difference(c.finalDifference) {
      sentence += ", at equal time \(relation(c.equalTimeDifference))"
    }
    guard let finalSpread = c.finalSpread, let equalTimeSpread = c.equalTimeSpread else {
      return sentence + "; the spread over seeds is unknown (one seed), so this is no win."
    }
    if abs(c.finalDifference) <= finalSpread && abs(c.equalTimeDifference) <= equalTimeSpread {
      sentence += "; this is within the spread of \(Numerals.difference(finalSpread, signed: false)) over seeds"
      if c.verdict == .none { sentence += ", so more seeds or a longer run must decide" }
      return sentence + "."
    }
    return sentence + "; the spread over seeds is \(Numerals.difference(finalSpread, signed: false))."
  }
}
