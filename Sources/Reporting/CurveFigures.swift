import Foundation

/// Loss against steps and against training time, without the structures that have an unverified product.
struct CurveFigures {
  let findings: Findings
  let styles: [String: SeriesStyle]

  private static let mostPoints = 400

  private var corpusLines: [(label: String, loss: Double)] {
    let corpus = findings.recorded.survey.corpus
    var lines = [("unigram entropy \(Numerals.loss(corpus.unigramEntropy))", corpus.unigramEntropy)]
    if let rate = corpus.entropyRate, rate.isFinite { lines.append(("entropy rate \(Numerals.loss(rate))", rate)) }
    return lines
  }

  /// Training loss, smoothed, as lines; validation loss as points.
  var againstSteps: Figure? {
    var series: [Figure.Series] = []
    var table = FigureTable(columns: ["structure", "requestedDensity", "seed", "step", "loss", "validationLoss"])
    var drawn: [StructureResult] = []
    for result in findings.structures.reversed() where result.verified != false {
      var any = false
      for run in result.runs {
        let curve = thinned(smoothed(run))
        any = any || !curve.isEmpty || !run.evaluations.isEmpty
        series.append(
          Figure.Series(style: style(result), kind: result.runs.count > 1 ? .faintLine : .line, points: curve))
        series.append(
          Figure.Series(
            style: style(result), kind: .points, points: run.evaluations.map { Figure.Point(Double($0.step), $0.loss) })
        )
        let identity = [result.label, "\(result.requestedDensity)", "\(run.plan.seed)"]
        table.rows += curve.map { identity + ["\(Int($0.x))", "\($0.y)", ""] }
        table.rows += run.evaluations.map { identity + ["\($0.step)", "", "\($0.loss)"] }
      }
      if any { drawn.insert(result, at: 0) }
    }
    guard !drawn.isEmpty else { return nil }
    let steps = series.flatMap { $0.points.map(\.x) }
    let x = FigureAxis("step", over: steps, from: 0, margin: 0.02)
    let y = lossAxis(series, skippingBefore: 0.2 * (steps.max() ?? 0))
    return Figure(
      name: "training-loss", title: "Loss against steps",
      caption:
        "Training loss (lines, a moving average over a fiftieth of the steps) and validation loss (points), nats per token, against optimiser steps; a line for each seed.\(findings.equality == .steps ? "" : " Runs differ in length, and so do their schedules: only their ends compare, \(findings.equality.phrase).") Early losses above the axis are cut off.",
      alternative: "Training and validation loss against steps for \(names(drawn)).",
      panels: [Figure.Panel(x: x, y: y, series: series, references: references(x: x, y: y))],
      legend: legend(drawn), table: table)
  }

  /// Validation loss against the time spent in training steps.
  var againstTime: Figure? {
    var series: [Figure.Series] = []
    var table = FigureTable(columns: ["structure", "requestedDensity", "seed", "step", "seconds", "validationLoss"])
    var drawn: [StructureResult] = []
    for result in findings.structures.reversed() where result.verified != false {
      var any = false
      for run in result.runs where run.totalSeconds > 0 && !run.evaluations.isEmpty {
        series.append(
          Figure.Series(
            style: style(result), kind: any ? .faintLine : .linePoints,
            points: run.evaluations.map { Figure.Point($0.seconds, $0.loss) }))
        any = true
        table.rows += run.evaluations.map {
          [
            result.label, "\(result.requestedDensity)", "\(run.plan.seed)", "\($0.step)", "\($0.seconds)", "\($0.loss)",
          ]
        }
      }
      if any { drawn.insert(result, at: 0) }
    }
    guard !drawn.isEmpty else { return nil }
    let times = series.flatMap { $0.points.map(\.x) }
    let x = FigureAxis("training time, seconds", over: times, from: 0, margin: 0.02)
    let y = lossAxis(series, skippingBefore: 0.2 * (times.max() ?? 0))
    var lines = references(x: x, y: y)
    if let end = findings.equalTimeSeconds, end < x.high {
      lines.append(Figure.Reference(label: "dense ends", from: (end, y.low), to: (end, y.high)))
    }
    return Figure(
      name: "validation-time", title: "Validation loss against time",
      caption:
        "Validation loss, nats per token, against seconds spent in training steps (evaluation and checkpoints not counted); a line for each seed, the first with points. The upright line marks the time at which losses are compared.",
      alternative: "Validation loss against training seconds for \(names(drawn)).",
      panels: [Figure.Panel(x: x, y: y, series: series, references: lines)], legend: legend(drawn), table: table)
  }

  private func style(_ result: StructureResult) -> SeriesStyle { styles[result.name] ?? .dense }

  private func names(_ results: [StructureResult]) -> String { Numerals.list(results.map(\.name)) }

  private func legend(_ results: [StructureResult]) -> [Figure.LegendEntry] {
    results.map { Figure.LegendEntry(name: $0.name, style: style($0), hasLine: true, hasPoint: true) }
  }

  /// Centred moving average over a fiftieth of the run.
  private func smoothed(_ run: RecordedRun) -> [Figure.Point] {
    let curve = run.steps.compactMap { step in step.loss.map { (step.step, $0) } }
    let half = curve.count / 100
    var sums = [0.0]
    for (_, loss) in curve { sums.append(sums[sums.count - 1] + loss) }
    return curve.indices.map { index in
      let reach = min(half, index, curve.count - 1 - index)
      let (a, b) = (index - reach, index + reach + 1)
      return Figure.Point(Double(curve[index].0), (sums[b] - sums[a]) / Double(b - a))
    }
  }

  private func thinned(_ points: [Figure.Point]) -> [Figure.Point] {
    guard points.count > Self.mostPoints else { return points }
    let last = points.count - 1
    return (0..<Self.mostPoints).map { points[$0 * last / (Self.mostPoints - 1)] }
  }

  /// From the lowest loss to the highest that comes after `start`, the entropies included where they are near.
  private func lossAxis(_ series: [Figure.Series], skippingBefore start: Double) -> FigureAxis {
    let all = series.flatMap(\.points)
    var losses = all.filter { $0.x >= start }.map(\.y)
    if losses.isEmpty { losses = all.map(\.y) }
    let low = losses.min() ?? 0
    let high = losses.max() ?? 1
    for line in corpusLines where line.loss > low - (high - low) && line.loss < high + (high - low) {
      losses.append(line.loss)
    }
    return FigureAxis("loss, nats per token", over: losses, margin: 0.06)
  }

  private func references(x: FigureAxis, y: FigureAxis) -> [Figure.Reference] {
    corpusLines.filter { $0.loss > y.low && $0.loss < y.high }.map {
      Figure.Reference(label: $0.label, from: (x.low, $0.loss), to: (x.high, $0.loss))
    }
  }
}
