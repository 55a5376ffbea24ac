import Foundation
import Records

/// Every bench record in a table that opens on demand; what is not verified is said to be WRONG before anything else.
struct BenchTable {
  let findings: Findings

  private static let mostRows = 5000

  /// What was found wrong, to be read without opening anything; empty when nothing was.
  var alarm: String {
    let wrong = findings.wrong
    guard !wrong.isEmpty else { return "" }
    let items = wrong.prefix(50).map { record in
      "<li><span class=\"wrong\">WRONG</span> \(Markup.escaped(Self.description(of: record)))</li>"
    }
    let more = wrong.count > 50 ? "<li>… and \(wrong.count - 50) more.</li>" : ""
    return """
      <div class="note alarm" role="alert">
      <p>These products were not verified against the definition. They are drawn nowhere, count as fast nowhere, and their structures get no verdict.</p>
      <ul>\(items.joined(separator: "\n"))\(more)</ul>
      </div>

      """
  }

  var html: String {
    let records = findings.recorded.bench
    guard !records.isEmpty else { return Markup.paragraph("No product has been timed in this survey.") }
    let columns: [Markup.Column] = [
      .init(name: "structure", isText: true), .init(name: "shape", unit: "outputs × inputs"), .init(name: "tokens"),
      .init(name: "density"), .init(name: "pass", isText: true), .init(name: "time", unit: "ms"),
      .init(name: "dense", unit: "ms"), .init(name: "dense library", isText: true), .init(name: "speed-up"),
      .init(name: "ideal"), .init(name: "share of ideal"), .init(name: "efficiency", unit: "of the peak"),
      .init(name: "predicted", unit: "ms"), .init(name: "padding", unit: "of the work"),
      .init(name: "error", unit: "of its bound"),
    ]
    let rows = records.prefix(Self.mostRows).map { record in
      Markup.Row(cells: Self.cells(record), name: nil)
    }
    let cut =
      records.count > Self.mostRows
      ? Markup.paragraph("The first \(Self.mostRows) records are shown; bench.jsonl holds all.", class: "quiet") : ""
    let above = records.count(where: \.exceedsIdeal)
    let doubt =
      above == 0
      ? ""
      : Markup.paragraph(
        "\(above) of \(records.count) products are faster than their ideal by more than a tenth: a cache holds the structure's weights and not dense's, or the machine was not quiet while dense was timed; then the times should be taken again.",
        class: "quiet")
    return doubt + """
      <details>
      <summary>All \(Numerals.grouped(records.count)) timed products</summary>
      \(Markup.table("bench", caption: "All timed products", columns: columns, rows: Array(rows)))\(cut)</details>

      """
  }

  private static func cells(_ record: BenchRecord) -> [String] {
    let isRight = record.verified
    let mark = "<span class=\"wrong\">WRONG</span>"
    return [
      Markup.escaped(record.structure) + (record.simulated == true ? " (simulated)" : ""),
      "\(record.outputs) × \(record.inputs)", Numerals.grouped(record.tokens),
      Numerals.significant(record.density, 3), Markup.escaped(record.pass),
      "\(Numerals.milliseconds(record.seconds)) <span class=\"pm\">± \(Numerals.percent(record.spread))</span>",
      Numerals.milliseconds(record.dense.seconds), Markup.escaped(record.dense.library),
      isRight ? Numerals.times(record.speedup) : mark, Numerals.times(record.idealSpeedup),
      isRight ? Numerals.percent(record.speedup / record.idealSpeedup) : mark,
      isRight ? Numerals.percent(record.efficiency) : mark, Numerals.milliseconds(record.predictedSeconds),
      record.padding.map { Numerals.percent($0) } ?? "0",
      isRight
        ? Numerals.significant(record.errorFraction, 2)
        : "<span class=\"wrong\">\(Numerals.significant(record.errorFraction, 2))</span>",
    ]
  }

  private static func description(of record: BenchRecord) -> String {
    "\(record.structure), \(record.pass), \(record.outputs) × \(record.inputs) at \(Numerals.tokens(record.tokens)) and density \(Numerals.significant(record.density, 3)): worst error \(Numerals.significant(record.errorFraction, 2)) of its bound."
  }
}
