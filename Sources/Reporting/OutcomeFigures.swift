import Foundation

/// The final validation loss of every finished structure against its size and against its step time.
struct OutcomeFigures {
  let findings: Findings
  let styles: [String: SeriesStyle]

  private struct Outcome {
    var result: StructureResult
    var x: Double
    var losses: Sample
    var mean: Double
  }

  var againstParameters: Figure? {
    figure(
      name: "loss-parameters", title: "Validation loss against size", axis: "parameters of the whole model, millions",
      column: "parameters",
      caption:
        "Final validation loss, nats per token, mean over seeds with bars from the lowest to the highest, against the parameters of the whole model. Lower and further left is better.",
      marks: .nothing
    ) { result in result.parameters.map { Double($0) / 1e6 } }
  }

  /// At equal steps and time against a step's time; at equal FLOPs against that of the whole run, since steps differ in
  /// number. At equal time there is no front: whoever is further left had more steps for it, and paid with no time.
  var againstTime: Figure? {
    guard let dense = findings.dense?.stepSeconds, dense > 0 else { return nil }
    let equality = findings.equality
    let losses =
      "Final validation loss, nats per token, \(equality == .steps ? "" : "\(equality.phrase), ")mean over seeds with bars from the lowest to the highest, against the median"
    let front =
      "The dashed steps are the Pareto front: nothing lies both below and to the left of it\(findings.structures.contains(where: \.isSimulated) ? ", simulated structures aside, whose time says nothing" : ""). Thin lines mark dense."
    switch equality {
    case .steps:
      return figure(
        name: "pareto", title: "What pays: loss against step time", axis: "step time, dense = 1",
        column: "relativeStepSeconds", caption: "\(losses) step time relative to dense. \(front)", marks: .front
      ) { $0.stepSeconds.map { $0 / dense } }
    case .flops:
      return figure(
        name: "pareto", title: "What pays: loss at equal FLOPs against time",
        axis: "training time of the whole run, dense = 1", column: "relativeTrainingSeconds",
        caption: "\(losses) training time of a whole run relative to dense. \(front)", marks: .front
      ) { findings.relativeTrainingSeconds(of: $0) }
    case .time:
      return figure(
        name: "pareto", title: "Loss at equal time against step time", axis: "step time, dense = 1",
        column: "relativeStepSeconds",
        caption:
          "\(losses) step time relative to dense: whoever is further left had more steps. Thin lines mark dense.",
        marks: .dense
      ) { $0.stepSeconds.map { $0 / dense } }
    }
  }

  private enum Marks { case nothing, dense, front }

  private func figure(
    name: String, title: String, axis: String, column: String, caption: String, marks: Marks,
    place: (StructureResult) -> Double?
  ) -> Figure? {
    let outcomes: [Outcome] = findings.structures.compactMap { result in
      guard result.verified != false, let x = place(result), let mean = result.finalLosses.mean else { return nil }
      return Outcome(result: result, x: x, losses: result.finalLosses, mean: mean)
    }
    guard !outcomes.isEmpty else { return nil }
    let losses = outcomes.flatMap(\.losses.sorted)
    let x = FigureAxis(axis, over: outcomes.map(\.x) + (marks == .nothing ? [] : [1]), margin: 0.12)
    let y = FigureAxis("final validation loss, nats per token", over: losses, margin: 0.12)
    var table = FigureTable(columns: [
      "structure", "requestedDensity", column, "finalValidationLoss", "lowest", "highest", "equal", "steps", "tokens",
    ])
    var panel = Figure.Panel(x: x, y: y)
    if marks == .front {
      panel.series.append(Figure.Series(style: .dense, kind: .front, points: front(outcomes, x: x, y: y)))
    }
    if marks != .nothing {
      if let dense = outcomes.first(where: \.result.isDense) {
        panel.references.append(Figure.Reference(label: "", from: (x.low, dense.mean), to: (x.high, dense.mean)))
        panel.references.append(Figure.Reference(label: "", from: (dense.x, y.low), to: (dense.x, y.high)))
      }
    }
    for outcome in outcomes {
      let style = styles[outcome.result.name] ?? .dense
      let (low, high) = (outcome.losses.sorted.first ?? outcome.mean, outcome.losses.sorted.last ?? outcome.mean)
      let point = Figure.Point(outcome.x, outcome.mean, low: low, high: high)
      panel.series.append(Figure.Series(style: style, kind: .errorBars, points: [point]))
      panel.names.append(Figure.PointName(name: outcome.result.name, style: style, x: outcome.x, y: outcome.mean))
      let scaled = column == "parameters" ? "\(outcome.result.parameters ?? 0)" : "\(outcome.x)"
      table.rows.append([
        outcome.result.label, "\(outcome.result.requestedDensity)", scaled, "\(outcome.mean)", "\(low)", "\(high)",
        findings.equality.rawValue, outcome.result.steps.map(String.init) ?? "",
        findings.tokens(of: outcome.result).map(String.init) ?? "",
      ])
    }
    return Figure(
      name: name, title: title, caption: caption,
      alternative: "\(title) for \(Numerals.list(outcomes.map(\.result.name))).", panels: [panel],
      legend: outcomes.map {
        Figure.LegendEntry(
          name: $0.result.name, style: styles[$0.result.name] ?? .dense, hasLine: false, hasPoint: true)
      }, table: table)
  }

  /// The outcomes that no other one beats in both, from the fastest on, as steps across the whole panel; none is simulated.
  private func front(_ outcomes: [Outcome], x: FigureAxis, y: FigureAxis) -> [Figure.Point] {
    var points: [Figure.Point] = []
    let measured = outcomes.filter { !$0.result.isSimulated }
    for outcome in measured.sorted(by: { ($0.x, $0.mean) < ($1.x, $1.mean) }) {
      if let last = points.last, outcome.mean >= last.y { continue }
      points.append(Figure.Point(outcome.x, outcome.mean))
    }
    guard let first = points.first, let last = points.last else { return [] }
    return [Figure.Point(first.x, y.high)] + points + [Figure.Point(x.high, last.y)]
  }
}
