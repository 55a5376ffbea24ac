import Foundation
import Records
import Testing

@testable import Reporting

@Suite("Verdict")
struct VerdictTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var step: Double
    var final: Double
    var equal: Double
    var spread: Double?
    /// Where it is not that of the final losses.
    var equalSpread: Double?
    var verdict: Verdict
    var testDescription: String { name }
  }

  static let cases: [Case] = [
    .init(name: "faster, lower", step: 0.5, final: -0.1, equal: -0.1, spread: 0.05, verdict: .pays),
    .init(name: "slower, lower at equal time", step: 1.5, final: -0.3, equal: -0.1, spread: 0.05, verdict: .pays),
    .init(name: "faster, higher", step: 0.5, final: 0.1, equal: 0.1, spread: 0.05, verdict: .trades),
    .init(name: "slower, lower only at the end", step: 1.5, final: -0.1, equal: 0.2, spread: 0.05, verdict: .trades),
    .init(
      name: "faster, lower, undecided at equal time", step: 0.5, final: -0.1, equal: -0.1, spread: 0.05,
      equalSpread: 0.2,
      verdict: .pays),
    .init(
      name: "as fast, lower, undecided at equal time", step: 1.005, final: -0.1, equal: -0.1, spread: 0.05,
      equalSpread: 0.2, verdict: .pays),
    .init(
      name: "as fast, lower, yet higher at equal time", step: 1.005, final: -0.1, equal: 0.1, spread: 0.05,
      equalSpread: 0.2, verdict: .none),
    .init(name: "slower, higher", step: 1.5, final: 0.1, equal: 0.2, spread: 0.05, verdict: .doNotUse),
    .init(name: "slower, alike", step: 1.5, final: -0.01, equal: 0, spread: 0.05, verdict: .doNotUse),
    .init(name: "as fast, higher", step: 1.005, final: 0.1, equal: 0.1, spread: 0.05, verdict: .doNotUse),
    .init(name: "faster, within the spread", step: 0.5, final: -0.04, equal: -0.04, spread: 0.05, verdict: .none),
    .init(name: "as fast, within the spread", step: 0.995, final: 0.01, equal: 0.01, spread: 0.05, verdict: .none),
    .init(name: "exactly the spread is within it", step: 0.5, final: -0.05, equal: -0.05, spread: 0.05, verdict: .none),
    .init(name: "unknown spread, lower", step: 0.5, final: -9, equal: -9, spread: nil, verdict: .none),
    .init(name: "unknown spread, faster and higher", step: 0.5, final: 0.1, equal: 0.1, spread: nil, verdict: .none),
    .init(name: "unknown spread, slower, higher", step: 1.5, final: 0.1, equal: 0.2, spread: nil, verdict: .none),
  ]

  @Test("Each rule gives its verdict", arguments: cases)
  func rules(_ example: Case) {
    let comparison = Comparison(
      relativeSeconds: example.step, timeSpread: 0.01, finalDifference: example.final,
      equalTimeDifference: example.equal, finalSpread: example.spread,
      equalTimeSpread: example.equalSpread ?? example.spread)
    #expect(comparison.verdict == example.verdict)
    // With dense's spread alone nothing pays, and nothing else is judged otherwise.
    var borrowed = comparison
    borrowed.hasOwnSpread = false
    #expect(borrowed.verdict == (example.verdict == .pays ? .mayPay : example.verdict))
  }

  @Test("The report states a rule for each verdict it can reach", arguments: SurveyRecord.Equality.allCases)
  func statedRules(_ equality: SurveyRecord.Equality) {
    #expect(Comparison.rules(equality).map(\.verdict) == Verdict.allCases.filter { $0 != .reference })
  }

  private func answer(_ change: (inout SurveyFixture) -> Void) throws -> SummaryRecord {
    var fixture = SurveyFixture()
    fixture.runs = [
      .init(structure: "dense", seed: 1, losses: [(4, 2.0)]), .init(structure: "dense", seed: 2, losses: [(4, 2.1)]),
      .init(structure: "csr", density: 0.1, stepSeconds: 0.5, losses: [(4, 1.5)]),
      .init(structure: "csr", density: 0.1, seed: 2, stepSeconds: 0.5, losses: [(4, 1.5)]),
    ]
    change(&fixture)
    let root = try fixture.written()
    defer { try? FileManager.default.removeItem(at: root) }
    return try SurveyReport(reading: root).summary
  }

  @Test("The answer says by how much dense is not the best")
  func denseIsBeaten() throws {
    let answer = try answer { _ in }.answer
    #expect(answer.contains("csr pays"))
    #expect(
      answer.contains("Dense is not the best: at equal time csr is 0.550 nats per token below it"), "\(answer)")
  }

  @Test("The answer says that dense is the best, and that nothing pays")
  func denseIsBest() throws {
    let answer = try answer { for run in 2...3 { $0.runs[run].losses = [(4, 2.5)] } }.answer
    #expect(answer.contains("nothing pays"))
    #expect(answer.contains("Dense is the best at equal time: the next, csr, is 0.450 nats per token above it."))
    #expect(answer.contains("csr (step time −50%, loss +0.450) trades"))
  }

  @Test("With one seed everywhere the spread is unknown and nothing is a win")
  func oneSeed() throws {
    let summary = try answer {
      $0.runs.remove(at: 1)
      $0.runs.removeLast()
    }
    #expect(summary.structures[1].verdict == Verdict.none)
    #expect(summary.structures[1].spreadSource == "unknown")
    #expect(summary.answer.contains("the spread over seeds is unknown, so this is no win"))
    #expect(summary.structures[1].reason.contains("so there is no verdict"))
  }

  @Test("What would pay by one seed only may pay, and dense is not shown to be beaten")
  func oneSeedOfItsOwn() throws {
    let summary = try answer { $0.runs.removeLast() }
    #expect(summary.structures[1].verdict == .mayPay && summary.structures[1].spreadSource == "dense")
    #expect(summary.answer.contains("nothing pays") && summary.answer.contains("csr may pay: by one seed"))
    #expect(
      summary.answer.contains("Dense is not shown to be beaten: csr is 0.550")
        && summary.answer.contains("but by one seed of its own"))
  }

  @Test("A simulated structure has no verdict, is no rival of dense and stands on no front, whatever its loss")
  func simulated() throws {
    let simulation: (inout SurveyFixture) -> Void = { fixture in
      fixture.runs.append(.init(structure: "masked", density: 0.1, stepSeconds: 0.9, losses: [(4, 1.0)]))
      var record = SurveyFixture.bench("masked", density: 0.1)
      fixture.bench = [record]
      record.simulated = true
      fixture.bench.append(record)
    }
    let summary = try answer(simulation)
    #expect(summary.structures.map(\.verdict) == [.reference, .pays, .none])
    #expect(summary.structures[2].reason.contains("says nothing; there is no verdict"))
    #expect(summary.answer.contains("csr pays: ") && summary.answer.contains("no verdict on masked (simulated)."))
    #expect(summary.answer.contains("Dense is not the best: at equal time csr is 0.550"))
    var fixture = SurveyFixture()
    fixture.runs = [.init(structure: "dense", losses: [(4, 2.0)])]
    simulation(&fixture)
    try fixture.report { report, _ in
      #expect(report.summary.answer.contains("nothing pays"))
      #expect(report.summary.answer.contains("Dense has nothing to be compared with"))
      let figure = try #require(SurveyFigures(report.findings).figures.first { $0.name == "pareto" })
      let front = try #require(figure.panels[0].series.first { $0.kind == .front })
      #expect(front.points.allSatisfy { $0.x >= 1 && $0.y >= 2 })
      #expect(figure.caption.contains("simulated structures aside"))
    }
  }

  @Test("Without a finished run there is no verdict, and the report says which run is missing")
  func unfinished() throws {
    let undone = try answer { for run in 2...3 { $0.runs[run].isDone = false } }
    #expect(undone.structures[1].verdict == Verdict.none)
    #expect(undone.structures[1].finalValidationLoss == nil)
    #expect(undone.missing.contains("The run runs/csr-d0.1-s1 is not finished: 4 of 4 steps are recorded."))
    let absent = try answer { fixture in for index in 0..<2 { fixture.runs[index].isStarted = false } }
    #expect(absent.structures.map(\.verdict) == [.reference, .none])
    #expect(absent.missing.contains("The run runs/dense-d1.0-s1 has not been started."))
    #expect(absent.answer.contains("no dense run has finished"))
  }
}
