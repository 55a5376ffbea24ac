import Foundation

/// The table of verdicts and, under it, each verdict in a sentence.
struct VerdictTable {
  let findings: Findings
  let summary: SummaryRecord

  /// Columns only where there is something to put into them.
  private var showsEnergy: Bool { summary.structures.contains { $0.joulesPerToken != nil } }
  private var showsGPU: Bool { summary.structures.contains { $0.gpuJoulesPerToken != nil } }

  /// Where runs have not the same number of steps.
  private var ownLengths: Bool { findings.equality != .steps }

  var html: String {
    let columns: [Markup.Column] =
      [
        .init(name: "structure", isText: true), .init(name: "verdict", isText: true),
        .init(name: "density", unit: "of the MLP"), .init(name: "parameters", unit: "whole model"),
        .init(name: "effective width", unit: "hidden units"), .init(name: "step time", unit: "dense = 1"),
      ] + (ownLengths ? [.init(name: "steps"), .init(name: "run time", unit: "dense = 1")] : []) + [
        .init(name: "forward", unit: "dense = 1×"), .init(name: "input gradient", unit: "dense = 1×"),
        .init(name: "weight gradient", unit: "dense = 1×"), .init(name: "final loss", unit: "nats/token"),
        .init(name: "best loss", unit: "nats/token"), .init(name: "to dense", unit: "final loss"),
        .init(name: "spread", unit: "over seeds"), .init(name: "loss at equal time", unit: "nats/token"),
        .init(name: "peak memory"),
      ] + (showsEnergy ? [.init(name: "energy", unit: "J/token")] : [])
      + (showsGPU ? [.init(name: "GPU energy", unit: "J/token")] : [])
    let rows = zip(findings.structures, summary.structures).map { result, entry in
      Markup.Row(cells: cells(result, entry), name: nil)
    }
    return Markup.table("verdicts", caption: "Verdict on each structure", columns: columns, rows: rows) + notes + words
  }

  private func cells(_ result: StructureResult, _ entry: SummaryRecord.Structure) -> [String] {
    let parameters = entry.parameters.map { Numerals.count(Double($0)) } ?? Numerals.unknown
    var step = entry.relativeStepSeconds.map { Numerals.significant($0, 3) } ?? Numerals.unknown
    if entry.relativeStepSeconds != nil, let spread = entry.stepSpread {
      step += " <span class=\"pm\">± \(Numerals.percent(spread))</span>"
    }
    var spread = entry.spread.map { Numerals.difference($0, signed: false) } ?? Numerals.unknown
    if entry.spreadSource == "dense" { spread += "†" }
    return [
      Markup.escaped(result.name), Self.badge(entry.verdict, isWrong: result.verified == false),
      entry.density.map { Numerals.significant($0, 3) } ?? Numerals.unknown, parameters,
      entry.effectiveWidth.map(Numerals.grouped) ?? Numerals.unknown, step,
    ]
      + (ownLengths
        ? [
          entry.steps.map(Numerals.grouped) ?? Numerals.unknown,
          entry.relativeTrainingSeconds.map { Numerals.significant($0, 3) } ?? Numerals.unknown,
        ] : []) + [
        Numerals.times(entry.medianSpeedup.forward), Numerals.times(entry.medianSpeedup.inputGradient),
        Numerals.times(entry.medianSpeedup.weightGradient), Numerals.loss(entry.finalValidationLoss),
        Numerals.loss(entry.bestValidationLoss),
        result.isDense ? Numerals.unknown : Numerals.difference(entry.differenceToDense), spread,
        Numerals.loss(entry.lossAtEqualTime), entry.peakBytes.map { Numerals.bytes(Double($0)) } ?? Numerals.unknown,
      ] + (showsEnergy ? [entry.joulesPerToken.map { Numerals.significant($0, 3) } ?? Numerals.unknown] : [])
      + (showsGPU ? [entry.gpuJoulesPerToken.map { Numerals.significant($0, 3) } ?? Numerals.unknown] : [])
  }

  static func badge(_ verdict: Verdict, isWrong: Bool) -> String {
    if isWrong { return "<span class=\"wrong\">WRONG</span>" }
    let name =
      switch verdict {
      case .pays: "pays"
      case .mayPay: "maypay"
      case .trades: "trades"
      case .doNotUse: "avoid"
      case .reference: "reference"
      case .none: "none"
      }
    return "<span class=\"verdict \(name)\">\(verdict.rawValue)</span>"
  }

  private var words: String {
    let entries = zip(findings.structures, summary.structures).map { result, entry in
      "<dt>\(Markup.escaped(result.name))</dt><dd>\(Markup.escaped(entry.reason))</dd>"
    }
    return "<h3>In words</h3>\n<dl class=\"words\">\n\(entries.joined(separator: "\n"))\n</dl>\n"
  }

  private var notes: String {
    var text = "Losses are means over the finished seeds of the validation loss. "
    text +=
      "The step time is the median over all steps of forward, backward and optimiser, ± the larger of its median absolute deviation and the range over runs. "
    if let tokens = findings.benchTokens {
      text +=
        "The three products have their median speed-up over the shapes at \(Numerals.tokens(tokens)), the timed count nearest to the \(Numerals.grouped(findings.recorded.survey.tokensPerStep)) of a training step; dense is the best library found or the own product, so that in its own row they compare the own product with the best library. "
    }
    text += "The spread is the largest minus the smallest final loss over the seeds of a structure; "
    let denseSpread = findings.dense?.finalLosses.range
    text +=
      denseSpread == nil
      ? "with one seed of dense it is unknown wherever a structure has only one seed too. "
      : "a structure with one seed only is given that of dense (†). "
    if let end = findings.equalTimeSeconds, findings.equality != .time {
      text +=
        "Equal time is \(Numerals.seconds(end)) of training, when dense had finished: slower structures are read off their curve at that moment, between evaluations by a straight line; a faster one counts with its last loss, since its model was ready by then."
    } else if let end = findings.equalTimeSeconds {
      text += "Equal time is \(Numerals.seconds(end)) of training, which dense took and every run was to take."
    }
    let rules = Comparison.rules(findings.equality).map { verdict, rule in
      "<dt>\(Self.badge(verdict, isWrong: false))</dt><dd>\(Markup.escaped(rule))</dd>"
    }
    return Markup.paragraph(text, class: "quiet")
      + """
      <details><summary>How a verdict is reached</summary>
      <dl class="words">
      \(rules.joined(separator: "\n"))
      </dl>
      \(Markup.paragraph("The spread that counts is the larger of the structure's and of dense's, at the end and at equal time each. \(findings.equality.timed == "step" ? "Step times" : "Times of runs") nearer to each other than the larger of their two deviations\(findings.equality == .time ? ", or than the spacing of dense's evaluations," : "") count as equal."))\(Markup.paragraph(findings.equality.comparedWhen))</details>

      """
  }
}
