import Foundation

/// The same losses against every measure of effort, and against a dense MLP of equal size; then the sweep of learning rates.
struct FairnessTable {
  let findings: Findings
  let summary: SummaryRecord

  var html: String { measures + notes + rates }

  private var measures: String {
    let columns: [Markup.Column] = [
      .init(name: "structure", isText: true), .init(name: "equal steps", unit: "nats/token"),
      .init(name: "equal steps", unit: "nats/byte"),
      .init(name: "within dense's operations", unit: "nats/token"),
      .init(name: "within dense's time", unit: "nats/token"),
      .init(name: "to narrow", unit: "final loss"), .init(name: "learning rate", unit: "peak, dense matrix"),
      .init(name: "parameters", unit: "at the end"), .init(name: "parameters", unit: "average"),
      .init(name: "tokens", unit: "per parameter"), .init(name: "operations", unit: "FLOP, whole run"),
    ]
    let rows = zip(findings.structures, summary.structures).map { result, entry in
      Markup.Row(
        cells: [
          Markup.escaped(result.name), Numerals.loss(entry.finalValidationLoss),
          Numerals.loss(perByte(entry.finalValidationLoss)),
          Numerals.loss(entry.lossAtEqualFlops), Numerals.loss(entry.lossAtEqualTime), toNarrow(result, entry),
          entry.learningRate.map { Numerals.significant($0, 2) } ?? Numerals.unknown,
          entry.parameters.map { Numerals.count(Double($0)) } ?? Numerals.unknown,
          entry.averageParameters.map { Numerals.count($0) } ?? Numerals.unknown,
          entry.tokensPerParameter.map { Numerals.significant($0, 3) } ?? Numerals.unknown,
          entry.trainingFlops.map { Numerals.count($0) } ?? Numerals.unknown,
        ], name: nil)
    }
    return Markup.table(
      "fairness", caption: "Losses at equal steps, operations, time and parameters", columns: columns, rows: rows)
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
    var text =
      "Narrow is a dense MLP with the fraction of hidden units that the density leaves, so that it has as many parameters as most structures or a few less: what a structure must beat to be worth having. § marks a structure with over 3 % fewer parameters than narrow, because no member of its family is nearer to the density: no comparison at equal parameters. ‡ marks a difference within the spread over seeds, or one whose spread is not known. "
    text +=
      "A run that had fewer operations, or less time, than dense counts with its last loss; one that had more is read off its curve. The average of the parameters is over the steps: a method that begins dense trains a larger model than it ends with. Operations include guides, dense gradients and dense beginnings; guides and masters are in no count of parameters."
    if let flops = findings.equalFlops { text += " Equal operations are \(Numerals.count(flops))FLOP." }
    return Markup.paragraph(text, class: "quiet")
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
