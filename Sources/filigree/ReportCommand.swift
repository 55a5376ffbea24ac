import ArgumentParser
import Arrays
import Foundation
import Records
import Reporting

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "Records of a survey directory to HTML, figures and tables; measures nothing.")

  @OptionGroup var global: GlobalOptions
  @Argument(help: "A survey directory.") var survey: String

  func run() throws {
    let folder = try PathOption.url(survey, "the survey directory's name")
    let page = try ReportCommand.write(folder, global)
    guard global.json else { return Output.line("report: \(page.path)") }
    Output.write(try RecordJSON.indented(SurveyReport(reading: folder).summary, for: survey) + [10])
  }

  /// Writes report/ of a survey directory; the page's address.
  static func write(_ folder: URL, _ global: GlobalOptions) throws -> URL {
    let report = try SurveyReport(reading: folder)
    let figures = FigureTool.found()
    if figures == nil {
      global.remark("gnuplot 5.4 or later is not here: the report has tables and no pictures; 'make setup' installs it")
    }
    let target = folder.appendingPathComponent("report")
    _ = try report.write(to: target, figures: figures)
    return target.appendingPathComponent("index.html")
  }
}
