import Arrays
import Foundation
import Records
import Testing

@testable import Reporting

@Suite("Summary")
struct SummaryTests {
  /// Dense: 4 steps of 2 s, seeds ending at 2.0 and 2.2. The structure: 4 steps of 1 s, ending at 1.5 and 1.6.
  private var tiny: SurveyFixture {
    var fixture = SurveyFixture()
    fixture.runs = [
      .init(structure: "dense", seed: 1, stepSeconds: 2, losses: [(2, 3.0), (4, 2.0)], joules: 5),
      .init(structure: "dense", seed: 2, stepSeconds: 2, losses: [(2, 3.0), (4, 2.2)], joules: 7),
      .init(
        structure: "bsr-32", density: 0.5, seed: 1, stepSeconds: 1, losses: [(2, 1.4), (4, 1.5)], parameters: 600),
      .init(
        structure: "bsr-32", density: 0.5, seed: 2, stepSeconds: 1, losses: [(2, 1.8), (4, 1.6)], parameters: 600),
    ]
    fixture.bench = [
      SurveyFixture.bench("bsr-32", density: 0.5, outputs: 64, inputs: 16, speedup: 1.5),
      SurveyFixture.bench("bsr-32", density: 0.5, outputs: 16, inputs: 64, speedup: 1.9),
      SurveyFixture.bench("bsr-32", density: 0.5, tokens: 1, speedup: 100),
      SurveyFixture.bench("bsr-32", density: 0.25, speedup: 50),
      SurveyFixture.bench("bsr-32", density: 0.5, pass: "weightGradient", speedup: 0.7),
    ]
    return fixture
  }

  private func summary(_ fixture: SurveyFixture) throws -> SummaryRecord {
    let root = try fixture.written()
    defer { try? FileManager.default.removeItem(at: root) }
    return try SurveyReport(reading: root).summary
  }

  private func near(_ a: Double?, _ b: Double) -> Bool { a.map { abs($0 - b) < 1e-12 * max(1, abs(b)) } ?? false }

  @Test("The numbers of a tiny survey are those worked out by hand")
  func handComputed() throws {
    let summary = try summary(tiny)
    #expect(summary.structures.map(\.label) == ["dense", "bsr-32"])
    let (dense, bsr) = (summary.structures[0], summary.structures[1])
    #expect(near(summary.equalTimeSeconds, 8))
    #expect(near(summary.tokensPerParameter, 40.0 / 1000))
    #expect(near(dense.finalValidationLoss, 2.1))
    #expect(near(dense.spread, 0.2))
    #expect(near(dense.joulesPerToken, 0.6))
    #expect(dense.verdict == .reference)
    #expect(bsr.density == 0.5)
    #expect(bsr.parameters == 600)
    #expect(near(bsr.relativeStepSeconds, 0.5))
    #expect(near(bsr.finalValidationLoss, 1.55))
    #expect(near(bsr.bestValidationLoss, 1.5))
    #expect(near(bsr.differenceToDense, -0.55))
    #expect(near(bsr.spread, 0.1))
    #expect(bsr.spreadSource == "seeds")
    #expect(near(bsr.lossAtEqualTime, 1.55))
    #expect(near(bsr.medianSpeedup.forward, 1.7))
    #expect(bsr.medianSpeedup.inputGradient == nil)
    #expect(near(bsr.medianSpeedup.weightGradient, 0.7))
    #expect(bsr.peakBytes == 1_000_004)
    #expect(bsr.joulesPerToken == nil)
    #expect(bsr.verdict == .pays)
  }

  @Test("The page has a column for energy where one run's was read, and none of dashes only")
  func energyColumn() throws {
    var fixture = tiny
    try fixture.report { _, page in
      #expect(page.contains(">energy<small>J/token") && !page.contains(">GPU energy<"))
    }
    for index in fixture.runs.indices { fixture.runs[index].joules = nil }
    try fixture.report { report, page in
      #expect(report.summary.structures.allSatisfy { $0.joulesPerToken == nil })
      #expect(!page.contains("J/token"))
    }
    fixture.runs[0].gpuJoules = 20
    try fixture.report { _, page in
      #expect(page.contains(">GPU energy<small>J/token") && !page.contains(">energy<"))
    }
  }

  @Test("One token is one, and two are tokens")
  func tokens() throws {
    try tiny.report { report, _ in
      let captions = SurveyFigures(report.findings).figures.filter { $0.name.hasPrefix("speedup") }.map(\.caption)
      #expect(captions.contains { $0.contains("16 inputs, 64 outputs and 1 token.") })
      #expect(captions.contains { $0.contains("16 inputs, 64 outputs and 10 tokens.") })
    }
  }

  @Test("The GPU's joules per token are the mean over the steps, those in which its counter stood still among them")
  func gpuEnergy() throws {
    var fixture = tiny
    #expect(try summary(fixture).structures.allSatisfy { $0.gpuJoulesPerToken == nil })
    // Of a counter that moves in every other step, 20 J and 40 J a step of 10 tokens.
    fixture.runs[0].gpuJoules = 20
    fixture.runs[1].gpuJoules = 40
    // A counter that never moves was not read.
    fixture.runs[2].gpuJoules = 0
    let structures = try summary(fixture).structures
    #expect(near(structures[0].gpuJoulesPerToken, 3))
    #expect(near(structures[0].joulesPerToken, 0.6))
    #expect(structures[1].gpuJoulesPerToken == nil)
  }

  @Test("The loss of a slower structure at equal time lies on its curve where dense ended")
  func interpolation() throws {
    var fixture = tiny
    fixture.runs[2].stepSeconds = 3
    fixture.runs[2].losses = [(2, 4.0), (4, 1.0)]
    fixture.runs.removeLast()
    let bsr = try summary(fixture).structures[1]
    #expect(near(bsr.lossAtEqualTime, 3.0))
    #expect(near(bsr.finalValidationLoss, 1.0))
    #expect(bsr.spreadSource == "dense")
    #expect(near(bsr.spread, 0.2))
    #expect(bsr.verdict == .trades)
  }

  @Test("A step that a resumed run wrote twice counts once, with its later line")
  func resumed() {
    let plan = SurveyRecord.Run(structure: "dense", requestedDensity: 1, seed: 1, directory: "x")
    let metrics = [
      MetricRecord(step: 1, tokens: 10, loss: 5, stepSeconds: 1),
      MetricRecord(step: 2, tokens: 20, loss: 9, stepSeconds: 7), MetricRecord(step: 2, tokens: 20, validationLoss: 9),
      MetricRecord(step: 2, tokens: 20, loss: 4, stepSeconds: 2), MetricRecord(step: 2, tokens: 20, validationLoss: 4),
    ]
    let run = RecordedRun(plan: plan, record: nil, metrics: metrics, isDone: true)
    #expect(run.steps.map(\.seconds) == [1, 3])
    #expect(run.evaluations == [RecordedRun.Evaluation(step: 2, seconds: 3, flops: 0, loss: 4)])
  }

  @Test("A structure with an unverified product has no speed, no verdict, and is drawn nowhere")
  func unverifiedIsNeverFast() throws {
    var fixture = tiny
    fixture.bench.append(
      SurveyFixture.bench("bsr-32", density: 0.5, pass: "inputGradient", speedup: 12_345, verified: false))
    let root = try fixture.written()
    defer { try? FileManager.default.removeItem(at: root) }
    let report = try SurveyReport(reading: root)
    let bsr = report.summary.structures[1]
    #expect(bsr.verdict == Verdict.none)
    #expect(bsr.verified == false)
    #expect(bsr.relativeStepSeconds == nil)
    #expect(bsr.medianSpeedup == SummaryRecord.Speedups())
    #expect(bsr.reason.hasPrefix("WRONG"))
    for figure in SurveyFigures(report.findings).figures where !figure.name.hasPrefix("speedup") {
      #expect(!figure.table.rows.contains { $0.first == "bsr-32" }, "\(figure.name) draws it")
    }
    for figure in SurveyFigures(report.findings).figures {
      #expect(!figure.table.text.contains("12345"), "\(figure.name) draws the record")
    }
    let out = root.appendingPathComponent("report")
    try report.write(to: out, figures: nil)
    let page = try String(contentsOf: out.appendingPathComponent("index.html"), encoding: .utf8)
    #expect(page.contains("<span class=\"wrong\">WRONG</span> bsr-32, inputGradient"))
    #expect(!page.contains("12345"))
  }

  @Test("The same label at two densities is two structures, told apart by name")
  func densities() throws {
    var fixture = tiny
    fixture.runs[3].density = 0.25
    let root = try fixture.written()
    defer { try? FileManager.default.removeItem(at: root) }
    let findings = try SurveyReport(reading: root).findings
    #expect(findings.structures.map(\.name) == ["dense", "bsr-32 at 0.50", "bsr-32 at 0.25"])
    #expect(findings.structures[2].medianSpeedup("forward", tokens: 10) == 50)
  }

  @Test("A summary survives a round trip, and has every key even where nothing is known")
  func roundTrip() throws {
    let summary = try summary(tiny)
    let data = try JSONEncoder().encode(summary)
    #expect(try JSONDecoder().decode(SummaryRecord.self, from: data) == summary)
    #expect(String(decoding: data, as: UTF8.self).contains("\"inputGradient\":null"))
  }
}
