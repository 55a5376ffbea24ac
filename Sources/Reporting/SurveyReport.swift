import Arrays
import Foundation

/// From the recorded files of a survey to a page, its figures and its tables. Measures nothing.
///
///     try SurveyReport(reading: survey).write(to: survey.appendingPathComponent("report"), figures: .found())
package struct SurveyReport: Sendable {
  package let findings: Findings

  /// Refuses a directory without `survey.json`, and any malformed record by file and line; what is merely not there
  /// yet the report says.
  package init(reading directory: URL) throws {
    findings = Findings(try RecordedSurvey(reading: directory))
  }

  package var summary: SummaryRecord { findings.summary }

  /// Writes `index.html`, `summary.json`, and for each figure a `.csv`, `.svg` and `.png`; gives back what it wrote.
  ///
  /// - Parameter figures: nil writes the page without figures, and says so on it.
  ///
  /// Each file is written beside its place and renamed, the page last, so that a reader never meets half of one.
  @discardableResult
  package func write(to directory: URL, figures tool: FigureTool?) throws -> [URL] {
    let files = FileManager.default
    let scratch = directory.appendingPathComponent(".report-\(UUID().uuidString)")
    do {
      try files.createDirectory(at: scratch, withIntermediateDirectories: true)
    } catch {
      throw Refusal.failed("\(directory.path) cannot be made or written to; check its permissions")
    }
    defer { try? files.removeItem(at: scratch) }

    var written: [URL] = []
    func place(_ data: Data, _ name: String) throws {
      let (beside, target) = (scratch.appendingPathComponent(name), directory.appendingPathComponent(name))
      do {
        try data.write(to: beside)
      } catch {
        throw Refusal.failed("\(target.path) cannot be written; check the free space")
      }
      guard rename(beside.path, target.path) == 0 else {
        throw Refusal.failed("\(target.path) cannot be replaced; check whether a folder has its name")
      }
      written.append(target)
    }

    let summary = self.summary
    var drawn: [(figure: Figure, rendering: SurveyFigures.Rendering?)] = []
    var note: String?
    if tool == nil {
      note =
        "The figures are missing because gnuplot 5.4 or later was not found on PATH; install it (on Debian or Ubuntu: apt install gnuplot-nox) and run filigree report again. Their data are in the .csv files beside this page."
    }
    for figure in SurveyFigures(findings).figures {
      var rendering: SurveyFigures.Rendering?
      if let tool, note == nil {
        do {
          rendering = try SurveyFigures.render(figure, with: tool, folder: scratch)
        } catch let refusal as Refusal {
          note = "Figures are missing: \(refusal.sentence)."
        }
      }
      drawn.append((figure, rendering))
      try place(Data(figure.table.text.utf8), figure.name + ".csv")
      if let rendering {
        try place(rendering.light, figure.name + ".svg")
        try place(rendering.png, figure.name + ".png")
      }
    }
    if drawn.isEmpty { note = "There is nothing to draw yet." }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try place(try encoder.encode(summary), "summary.json")
    let page = ReportPage(findings: findings, summary: summary, figures: drawn, figureNote: note)
    try place(Data(page.html.utf8), "index.html")
    return written
  }
}
