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
      isPareto: false
    ) { result in result.parameters.map { Double($0) / 1e6 } }
  }

  var againstStepTime: Figure? {
    guard let dense = findings.dense?.stepSeconds, dense > 0 else { return nil }
    return figure(
      name: "pareto", title: "What pays: loss against step time", axis: "step time, dense = 1",
      column: "relativeStepSeconds",
      caption:
        "Final validation loss, nats per token, mean over seeds with bars from the lowest to the highest, against the median step time relative to dense. The dashed steps are the Pareto front: nothing lies both below and to the left of it. Thin lines mark dense.",
      isPareto: true
    ) { result in result.stepSeconds.map { $0 / dense } }
  }

  private func figure(
    name: String, title: String, axis: String, column: String, caption: String, isPareto: Bool,
    place: (StructureResult) -> Double?
  ) -> Figure? {
    let outcomes: [Outcome] = findings.structures.compactMap { result in
      guard result.verified != false, let x = place(result), let mean = result.finalLosses.mean else { return nil }
      return Outcome(result: result, x: x, losses: result.finalLosses, mean: mean)
    }
    guard !outcomes.isEmpty else { return nil }
    let losses = outcomes.flatMap(\.losses.sorted)
    let x = FigureAxis(axis, over: outcomes.map(\.x) + (isPareto ? [1] : []), margin: 0.12)
    let y = FigureAxis("final validation loss, nats per token", over: losses, margin: 0.12)
    var table = FigureTable(columns: [
      "structure", "requestedDensity", column, "finalValidationLoss", "lowest", "highest",
    ])
    var panel = Figure.Panel(x: x, y: y)
    if isPareto {
      panel.series.append(Figure.Series(style: .dense, kind: .front, points: front(outcomes, x: x, y: y)))
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

  /// The outcomes that no other one beats in both, from the fastest on, as steps across the whole panel.
  private func front(_ outcomes: [Outcome], x: FigureAxis, y: FigureAxis) -> [Figure.Point] {
    var points: [Figure.Point] = []
    for outcome in outcomes.sorted(by: { ($0.x, $0.mean) < ($1.x, $1.mean) }) {
      if let last = points.last, outcome.mean >= last.y { continue }
      points.append(Figure.Point(outcome.x, outcome.mean))
    }
    guard let first = points.first, let last = points.last else { return [] }
    return [Figure.Point(first.x, y.high)] + points + [Figure.Point(x.high, last.y)]
  }
}
