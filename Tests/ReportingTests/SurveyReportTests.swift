import Arrays
import Foundation
import Records
import Testing

@testable import Reporting

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite("Survey report", .serialized)
struct SurveyReportTests {
  private func withSurvey<Result>(_ fixture: SurveyFixture, _ body: (URL) throws -> Result) throws -> Result {
    let root = try fixture.written()
    defer { try? FileManager.default.removeItem(at: root) }
    return try body(root)
  }

  private func text(_ url: URL) throws -> String { try String(contentsOf: url, encoding: .utf8) }

  private static let hostile = "x'\"`touch pwned`<script>alert(1)</script>&{}^_@%\\"

  private var hostileFixture: SurveyFixture {
    var fixture = SurveyFixture()
    fixture.processor = "</title><script>alert(2)</script>"
    fixture.runs = [
      .init(structure: "dense", losses: [(2, 3.0), (4, 2.0)]),
      .init(structure: Self.hostile, density: 0.5, losses: [(2, 3.0), (4, 2.1)]),
    ]
    fixture.bench = [
      SurveyFixture.bench(Self.hostile, density: 0.5, speedup: 1.2),
      SurveyFixture.bench(Self.hostile, density: 0.25, speedup: 2.2),
    ]
    return fixture
  }

  @Test("Without gnuplot the page, the summary and the data are written, and the page says what is missing")
  func withoutFigures() throws {
    try withSurvey(.plausible) { root in
      let out = root.appendingPathComponent("report")
      let written = try SurveyReport(reading: root).write(to: out, figures: nil)
      let names = Set(written.map(\.lastPathComponent))
      #expect(
        names == [
          "index.html", "summary.json", "pareto.csv", "validation-time.csv", "training-loss.csv",
          "loss-parameters.csv", "speedup-768x192-t2048.csv", "speedup-192x768-t2048.csv",
        ])
      #expect(Set(try FileManager.default.contentsOfDirectory(atPath: out.path)) == names)
      let page = try text(out.appendingPathComponent("index.html"))
      #expect(page.contains("gnuplot 5.4 or later was not found"))
      #expect(page.contains("early curve"))
      let summary = try JSONDecoder().decode(
        SummaryRecord.self, from: Data(contentsOf: out.appendingPathComponent("summary.json")))
      #expect(summary.structures.count == 7)
    }
  }

  @Test("The page fetches nothing and runs nothing")
  func selfContained() throws {
    try withSurvey(.plausible) { root in
      let out = root.appendingPathComponent("report")
      try SurveyReport(reading: root).write(to: out, figures: nil)
      let page = try text(out.appendingPathComponent("index.html"))
      for word in ["http:", "https:", "<script", "<link", "@import", "url("] { #expect(!page.contains(word)) }
    }
  }

  @Test("A hostile label reaches the page as text only")
  func escaping() throws {
    try withSurvey(hostileFixture) { root in
      let out = root.appendingPathComponent("report")
      try SurveyReport(reading: root).write(to: out, figures: nil)
      let page = try text(out.appendingPathComponent("index.html"))
      #expect(!page.contains("<script"))
      #expect(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
      #expect(page.contains("<title>Which sparse structures pay? mistral-tiny on &lt;/title&gt;"))
    }
  }

  @Test("A malformed line is refused with its file and line")
  func malformedLine() throws {
    try withSurvey(.plausible) { root in
      for (file, line) in [("bench.jsonl", 3), ("runs/dense-d1.0-s1/metrics.jsonl", 7)] {
        let url = root.appendingPathComponent(file)
        let good = try text(url)
        var lines = good.components(separatedBy: "\n")
        lines[line - 1] = "{\"step\": "
        try Data(lines.joined(separator: "\n").utf8).write(to: url)
        let refusal = #expect(throws: Refusal.self) { try SurveyReport(reading: root) }
        #expect(refusal?.sentence.contains("\(url.path), line \(line),") == true, "\(refusal?.sentence ?? "")")
        try Data(good.utf8).write(to: url)
      }
    }
  }

  @Test(
    "A line whose numbers no measurement gives is refused",
    arguments: [
      ("\"seconds\":", "\"seconds\":-"), ("\"density\":0.5", "\"density\":0"), ("\"tokens\":", "\"tokens\":0,\"x\":"),
      ("filigree.bench\\/1", "filigree.bench\\/9"), ("\"verified\":true", "\"verified\":\"yes\""),
      ("\"tokens\":", "\"tokens\":99999999999999999999,\"x\":"), ("\"speedup\":", "\"speedup\":1e999,\"x\":"),
    ])
  func badNumbers(_ change: (String, String)) throws {
    var fixture = SurveyFixture()
    fixture.bench = [SurveyFixture.bench("csr", density: 0.5)]
    try withSurvey(fixture) { root in
      let url = root.appendingPathComponent("bench.jsonl")
      let changed = try text(url).replacingOccurrences(of: change.0, with: change.1)
      #expect(try changed != text(url))
      try Data(changed.utf8).write(to: url)
      let refusal = #expect(throws: Refusal.self) { try SurveyReport(reading: root) }
      #expect(refusal?.sentence.contains("bench.jsonl, line 1,") == true, "\(refusal?.sentence ?? "")")
    }
  }

  @Test("The cut last line of a run that still trains is left out and mentioned; of a finished run it is refused")
  func cutLine() throws {
    var fixture = SurveyFixture.plausible
    fixture.runs[0].isDone = false
    try withSurvey(fixture) { root in
      for (index, isRefused) in [(0, false), (1, true)] {
        let url = root.appendingPathComponent("runs/\(fixture.runs[index].directory)/metrics.jsonl")
        try Data((try text(url) + "{\"step\": 2").utf8).write(to: url)
        if isRefused {
          #expect(throws: Refusal.self) { try SurveyReport(reading: root) }
        } else {
          let missing = try SurveyReport(reading: root).summary.missing
          #expect(missing.contains { $0.contains("cut off") })
        }
      }
    }
  }

  @Test("A run directory that leads out of the survey is refused")
  func escape() throws {
    try withSurvey(.plausible) { root in
      let url = root.appendingPathComponent("survey.json")
      let changed = try text(url).replacingOccurrences(of: "\"dense-d1.0-s1\"", with: "\"../elsewhere\"")
      try Data(changed.utf8).write(to: url)
      let refusal = #expect(throws: Refusal.self) { try SurveyReport(reading: root) }
      #expect(refusal?.sentence.contains("is not a plain name") == true)
    }
  }

  @Test("A survey that has only begun still gives a page that says what is missing")
  func empty() throws {
    var fixture = SurveyFixture.plausible
    for index in fixture.runs.indices { fixture.runs[index].isStarted = false }
    fixture.bench = []
    try withSurvey(fixture) { root in
      let out = root.appendingPathComponent("report")
      try SurveyReport(reading: root).write(to: out, figures: .found())
      let page = try text(out.appendingPathComponent("index.html"))
      #expect(page.contains("bench.jsonl is empty"))
      #expect(page.contains("runs/narrow-d0.1-s1 has not been started"))
      #expect(page.contains("nothing pays"))
    }
  }

  @Test("A directory without survey.json is refused by its path")
  func noSurvey() throws {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("none-\(UUID().uuidString)")
    let refusal = #expect(throws: Refusal.self) { try SurveyReport(reading: root) }
    #expect(refusal?.sentence.hasPrefix("\(root.path) has no survey.json") == true)
  }

  @Test("A search path without gnuplot finds no tool, and a program that is none is not taken for it")
  func search() throws {
    #expect(FigureTool.found(path: "") == nil)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bin-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let program = folder.appendingPathComponent("gnuplot")
    for (version, isTaken) in [("5.2", false), ("5.4", true), ("6.0", true)] {
      try Script("echo 'gnuplot \(version) patchlevel 1'").write(to: program)
      #expect((FigureTool.found(path: folder.path) != nil) == isTaken, "version \(version)")
    }
  }

  @Test("A gnuplot that fails costs the figures, not the report, and its complaint is on the page")
  func failingTool() throws {
    let program = FileManager.default.temporaryDirectory.appendingPathComponent("gnuplot-\(UUID().uuidString)")
    try Script("echo 'unknown terminal <svg>' >&2\nexit 1").write(to: program)
    defer { try? FileManager.default.removeItem(at: program) }
    try withSurvey(.plausible) { root in
      let out = root.appendingPathComponent("report")
      try SurveyReport(reading: root).write(to: out, figures: FigureTool(executable: program))
      let page = try text(out.appendingPathComponent("index.html"))
      #expect(page.contains("unknown terminal &lt;svg&gt;"))
      #expect(FileManager.default.fileExists(atPath: out.appendingPathComponent("pareto.csv").path))
    }
  }

  private static let gnuplot = FigureTool.found()

  @Test(
    "Every figure is well-formed SVG, a PNG of twice its size, and a table; the page embeds it for each width and background",
    .enabled(if: gnuplot != nil, "gnuplot 5.4 or later is not on PATH: figures are not checked here"))
  func figures() throws {
    for fixture in [SurveyFixture.plausible, hostileFixture] {
      try withSurvey(fixture) { root in
        let report = try SurveyReport(reading: root)
        let out = root.appendingPathComponent("report")
        let names = Set(try report.write(to: out, figures: Self.gnuplot).map(\.lastPathComponent))
        let page = try text(out.appendingPathComponent("index.html"))
        let figures = SurveyFigures(report.findings).figures
        #expect(figures.count >= 5)
        for figure in figures {
          #expect(names.isSuperset(of: ["svg", "png", "csv"].map { "\(figure.name).\($0)" }))
          let svg = try Data(contentsOf: out.appendingPathComponent("\(figure.name).svg"))
          #expect(XMLParser(data: svg).parse(), "\(figure.name).svg is not well-formed")
          #expect(!String(decoding: svg, as: UTF8.self).contains("<script"))
          let png = [UInt8](try Data(contentsOf: out.appendingPathComponent("\(figure.name).png")).prefix(24))
          #expect(png.starts(with: [0x89, 0x50, 0x4E, 0x47]))
          let width = png[16..<20].reduce(0) { $0 << 8 | Int($1) }
          #expect(width == 2 * Int(FigureCanvas(for: figure, .wide).width))
        }
        #expect(page.components(separatedBy: "data:image/svg+xml;base64,").count - 1 == 4 * figures.count)
        #expect(!FileManager.default.fileExists(atPath: out.appendingPathComponent("pwned").path))
        #expect(try FileManager.default.contentsOfDirectory(atPath: out.path).allSatisfy { !$0.hasPrefix(".") })
      }
    }
  }

  @Test("A word from outside stands in a gnuplot script in single quotes, on one line")
  func quoting() {
    #expect(FigureScript.quoted("it's `x`\n$y") == "'it''s `x`$y'")
  }

  @Test("A field of a table with commas, quotes or breaks is quoted")
  func commaSeparated() {
    let table = FigureTable(columns: ["a", "b"], rows: [["x,y", "say \"no\""], ["plain", "two\nlines"]])
    #expect(table.text == "a,b\r\n\"x,y\",\"say \"\"no\"\"\"\r\nplain,\"two\nlines\"\r\n")
  }
}
