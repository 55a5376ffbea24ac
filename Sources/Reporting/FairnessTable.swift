import Foundation
import Records

/// The same losses against every measure of effort, and against a dense MLP of equal size; then the sweep of learning rates.
struct FairnessTable {
  let findings: Findings
  let summary: SummaryRecord

  var html: String { measures + notes + rates }

  private var equality: SurveyRecord.Equality { findings.equality }

  /// A column, and its cell in every row.
  private struct Measure {
    let column: Markup.Column
    let cell: (StructureResult, SummaryRecord.Structure) -> String
  }

  /// The experiment's own loss comes first; the two others are read off its curves.
  private var list: [Measure] {
    let experiment = "\(equality.phrase.dropFirst("at ".count))"
    var list = [
      Measure(column: .init(name: experiment, unit: "nats/token")) { Numerals.loss($1.finalValidationLoss) },
      Measure(column: .init(name: experiment, unit: "nats/byte")) {
        Numerals.loss(self.perByte($1.finalValidationLoss))
      },
    ]
    if equality != .flops {
      list.append(
        Measure(column: .init(name: "within dense's FLOPs", unit: "nats/token")) { Numerals.loss($1.lossAtEqualFlops) })
    }
    if equality != .time {
      list.append(
        Measure(column: .init(name: "within dense's time", unit: "nats/token")) { Numerals.loss($1.lossAtEqualTime) })
    }
    func count(_ x: Double?) -> String { x.map { Numerals.count($0) } ?? Numerals.unknown }
    return list + [
      Measure(column: .init(name: "to narrow", unit: "final loss")) { self.toNarrow($0, $1) },
      Measure(column: .init(name: "learning rate", unit: "peak, dense matrix")) {
        $1.learningRate.map { Numerals.significant($0, 2) } ?? Numerals.unknown
      },
      Measure(column: .init(name: "steps")) { result, _ in self.steps(of: result) },
      Measure(column: .init(name: "tokens")) { count($1.tokens.map(Double.init)) },
      Measure(column: .init(name: "run time", unit: "dense = 1")) {
        $1.relativeTrainingSeconds.map { Numerals.significant($0, 3) } ?? Numerals.unknown
      },
      Measure(column: .init(name: "parameters", unit: "at the end")) { count($1.parameters.map(Double.init)) },
      Measure(column: .init(name: "parameters", unit: "average")) { count($1.averageParameters) },
      Measure(column: .init(name: "tokens", unit: "per parameter")) {
        $1.tokensPerParameter.map { Numerals.significant($0, 3) } ?? Numerals.unknown
      },
      Measure(column: .init(name: "operations", unit: "FLOP, whole run")) { count($1.trainingFlops) },
    ]
  }

  private var measures: String {
    let list = list
    let rows = zip(findings.structures, summary.structures).map { result, entry in
      Markup.Row(cells: [Markup.escaped(result.name)] + list.map { $0.cell(result, entry) }, name: nil)
    }
    return Markup.table(
      "fairness", caption: "Losses at equal steps, FLOPs, time and parameters",
      columns: [.init(name: "structure", isText: true)] + list.map(\.column), rows: rows)
  }

  /// "598–600" where the seeds of a guided structure differ.
  private func steps(of result: StructureResult) -> String {
    let all = result.runs.compactMap { $0.record?.configuration.steps }
    guard let least = all.min(), let most = all.max() else { return Numerals.unknown }
    return Numerals.grouped(least) + (most > least ? "–\(Numerals.grouped(most))" : "")
  }

  /// What can be compared between tokenizers.
  private func perByte(_ loss: Double?) -> Double? {
    guard let loss, let ratio = findings.recorded.survey.corpus.bytesPerToken else { return nil }
    return loss / ratio
  }

  /// With a mark where the difference does not exceed the spread over seeds, or nothing is known about that.
  private func toNarrow(_ result: StructureResult, _ entry: SummaryRecord.Structure) -> String {
    guard let difference = entry.differenceToNarrow else { return Numerals.unknown }
    let isWithin = findings.spreadToNarrow(of: result).map { abs(difference) <= $0 } ?? true
    return Numerals.difference(difference) + (isWithin ? "‡" : "") + (findings.isSmallerThanNarrow(result) ? "§" : "")
  }

  private var notes: String {
    var text = equality.explanation
    if let flops = findings.equalFlops { text += " Dense's FLOPs are \(Numerals.count(flops))FLOP." }
    text += drift
    text = Markup.paragraph(text)
    var more =
      "Narrow is a dense MLP with the fraction of hidden units that the density leaves, so that it has as many parameters as most structures or a few less: what a structure must beat to be worth having. § marks a structure with over 3 % fewer parameters than narrow, because no member of its family is nearer to the density: no comparison at equal parameters. ‡ marks a difference within the spread over seeds, or one whose spread is not known. "
    more +=
      "The average of the parameters is over the steps: a method that begins dense trains a larger model than it ends with. Operations include guides, dense gradients and dense beginnings; guides and masters are in no count of parameters."
    return text + Markup.paragraph(more, class: "quiet")
  }

  /// At equal time: whose runs did not take it.
  private var drift: String {
    guard equality == .time else { return "" }
    let others = findings.structures.filter { result in
      findings.comparison(of: result).map { !result.isDense && ($0.isFaster || $0.isSlower) } ?? false
    }.map(\.name)
    return others.isEmpty
      ? ""
      : " The runs of \(Numerals.list(others)) took another time than was planned: the machine, or what a method does, was not as when steps were timed, and their losses are not at equal time."
  }

  private var rates: String {
    guard let rates = findings.recorded.survey.learningRates, !rates.isEmpty else {
      return Markup.paragraph(
        "All were trained with one learning rate, scaled by each structure's rule, and none with its best: a sweep (--learning-rates) could change the order.",
        class: "quiet")
    }
    let columns =
      [Markup.Column(name: "structure", isText: true)]
      + rates.sorted().map { Markup.Column(name: Numerals.significant($0, 2), unit: "nats/token") }
    let rows = zip(findings.structures, summary.structures).map { result, entry in
      let cells = rates.sorted().map { rate -> String in
        guard let found = entry.rates.first(where: { $0.learningRate == rate }) else { return Numerals.unknown }
        let diverged = result.sweep.contains { $0.plan.learningRate == rate && $0.divergence != nil }
        let text = diverged ? "diverged" : Numerals.loss(found.finalValidationLoss)
        return rate == entry.learningRate && !diverged ? "<strong>\(text)</strong>" : text
      }
      return Markup.Row(cells: [Markup.escaped(result.name)] + cells, name: nil)
    }
    let ends = zip(findings.structures, summary.structures).filter { _, entry in
      entry.rates.count > 1 && (entry.learningRate == rates.min() || entry.learningRate == rates.max())
    }.map(\.0.name)
    var text =
      "Final validation loss of the first seed at every rate of the sweep; the best, in bold, is the one that the other seeds take and that counts everywhere on this page."
    if !ends.isEmpty {
      text += " The best lies at an end of the sweep for \(Numerals.list(ends)): a wider sweep might find a better one."
    }
    return "<h3>Learning rates</h3>\n"
      + Markup.table("rates", caption: "Sweep of learning rates", columns: columns, rows: rows)
      + Markup.paragraph(text, class: "quiet")
  }
}
