import Foundation
import Records

/// Measured speed-up against density: a figure for each shape, a small multiple for each of the three products.
///
/// Records that were not verified are left out. Labels that are one family at one density each ("monarch-4",
/// "monarch-8") form one series.
struct SpeedupFigures {
  let findings: Findings
  let styles: [String: SeriesStyle]

  static let passes = [
    ("forward", "forward"), ("inputGradient", "input gradient"), ("weightGradient", "weight gradient"),
  ]
  private static let mostFigures = 6

  private struct Shape: Hashable {
    var outputs: Int
    var inputs: Int
  }

  private struct Group {
    var name: String
    var style: SeriesStyle
    var records: [BenchRecord]
  }

  /// Those with most densities first: a curve says more than a point.
  var figures: [Figure] {
    let records = findings.recorded.bench.filter(\.verified)
    var cells: [(shape: Shape, tokens: Int, records: [BenchRecord])] = []
    for record in records {
      let shape = Shape(outputs: record.outputs, inputs: record.inputs)
      if let index = cells.firstIndex(where: { $0.shape == shape && $0.tokens == record.tokens }) {
        cells[index].records.append(record)
      } else {
        cells.append((shape, record.tokens, [record]))
      }
    }
    func densities(_ records: [BenchRecord]) -> Int { Set(records.map(\.requestedDensity)).count }
    let order = cells.indices.sorted { (densities(cells[$0].records), $1) > (densities(cells[$1].records), $0) }
    return order.prefix(Self.mostFigures).map { figure(cells[$0].shape, cells[$0].tokens, cells[$0].records) }
  }

  private func figure(_ shape: Shape, _ tokens: Int, _ records: [BenchRecord]) -> Figure {
    let groups = groups(of: records)
    let ideal = records.map(\.idealSpeedup)
    let x = FigureAxis("density", over: records.map(\.density) + [1], isLogarithmic: true)
    let y = FigureAxis(
      "speed-up over dense", over: records.map(\.speedup) + ideal + [1], isLogarithmic: true, suffix: "×")
    var table = FigureTable(columns: [
      "structure", "outputs", "inputs", "tokens", "pass", "density", "speedup", "idealSpeedup", "seconds",
      "denseSeconds",
    ])
    let panels = Self.passes.map { pass, title in
      var panel = Figure.Panel(title: title, x: x, y: y)
      let (a, b) = (max(x.low, 1 / y.high), min(x.high, 1 / y.low))
      panel.references = [
        Figure.Reference(label: "break-even", from: (x.low, 1), to: (x.high, 1), place: .left),
        Figure.Reference(label: "ideal", from: (a, 1 / a), to: (b, 1 / b), place: .beside),
      ]
      for group in groups {
        let own = group.records.filter { $0.pass == pass }.sorted { $0.density < $1.density }
        panel.series.append(
          Figure.Series(
            style: group.style, kind: own.count > 1 ? .linePoints : .points,
            points: own.map { Figure.Point($0.density, $0.speedup) }))
        table.rows += own.map {
          [
            $0.structure, "\($0.outputs)", "\($0.inputs)", "\($0.tokens)", pass, "\($0.density)", "\($0.speedup)",
            "\($0.idealSpeedup)", "\($0.seconds)", "\($0.dense.seconds)",
          ]
        }
      }
      return panel
    }
    return Figure(
      name: "speedup-\(shape.outputs)x\(shape.inputs)-t\(tokens)",
      title: "Speed-up of the products, \(shape.inputs) to \(shape.outputs) features",
      caption:
        "Time of the best dense product over the time of the structure's, both measured in turn, against density, for the three products of training with \(shape.inputs) inputs, \(shape.outputs) outputs and \(Numerals.tokens(tokens)). Both axes are logarithmic. The sloping line is the ideal, 1 / density; below the level line at 1 dense is faster.",
      alternative:
        "Speed-up against density in forward, input gradient and weight gradient for \(Numerals.list(groups.map(\.name))).",
      panels: panels,
      legend: groups.map { group in
        Figure.LegendEntry(
          name: group.name, style: group.style, hasLine: Set(group.records.map(\.density)).count > 1, hasPoint: true)
      },
      table: table)
  }

  private func groups(of records: [BenchRecord]) -> [Group] {
    var labels: [String] = []
    var densities: [String: Set<Double>] = [:]
    for record in records {
      if !labels.contains(record.structure) { labels.append(record.structure) }
      densities[record.structure, default: []].insert(record.density)
    }
    let trained = findings.structures.map(\.label)
    func place(_ label: String) -> Int { trained.firstIndex(of: label) ?? trained.count }
    labels = labels.filter(trained.contains).sorted { place($0) < place($1) } + labels.filter { !trained.contains($0) }
    var families: [String: [String]] = [:]
    for label in labels where densities[label]?.count == 1 { families[family(of: label), default: []].append(label) }
    families = families.filter { _, members in
      members.count > 1 && Set(members.flatMap { densities[$0] ?? [] }).count == members.count
    }
    var groups: [Group] = []
    for label in labels {
      let family = family(of: label)
      let members = families[family].flatMap { $0.contains(label) ? $0 : nil }
      if let members, members.first != label { continue }
      let style = style(of: members ?? [label])
      let own = members ?? [label]
      let records = records.filter { own.contains($0.structure) }
      groups.append(
        Group(
          name: (members == nil ? label : family) + (records.contains { $0.simulated == true } ? " (simulated)" : ""),
          style: style, records: records))
    }
    return groups
  }

  /// "lowrank-51" is of "lowrank-*", "nm-2:4t" of "nm-*t": the size after the last dash is left out.
  private func family(of label: String) -> String {
    guard let dash = label.lastIndex(of: "-") else { return label }
    let size = label[label.index(after: dash)...]
    guard size.first?.isNumber == true else { return label }
    return label[...dash] + "*" + (size.last == "t" ? "t" : "")
  }

  private func style(of labels: [String]) -> SeriesStyle {
    if labels.contains("dense") { return .dense }
    // A member that was timed only is drawn like its family's member that was trained.
    let trained =
      findings.structures.first { labels.contains($0.label) }
      ?? findings.structures.first { family(of: $0.label) == family(of: labels.first ?? "") }
    return (trained.flatMap { styles[$0.name] }) ?? styles[labels.first ?? ""] ?? .dense
  }
}
