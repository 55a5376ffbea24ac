import Foundation
import Records
import Testing

@testable import Reporting

/// Surveys whose runs were made as long as equal FLOPs or equal time ask for, worked out by hand.
@Suite struct EqualityTests {
  /// Dense: 4 steps of 1 s and 10 FLOP, ending at 2.0 and 2.1. The structure: 8 steps of 5 FLOP, ending at 1.5.
  private func fixture(_ equal: SurveyRecord.Equality, stepSeconds: Double, end: Double = 1.5) -> SurveyFixture {
    var fixture = SurveyFixture()
    fixture.equal = equal
    fixture.runs = [
      .init(structure: "dense", seed: 1, losses: [(2, 3.0), (4, 2.0)], steps: 4, flops: 10),
      .init(structure: "dense", seed: 2, losses: [(2, 3.0), (4, 2.1)], steps: 4, flops: 10),
    ]
    for seed: UInt64 in 1...2 {
      fixture.runs.append(
        .init(
          structure: "csr", density: 0.5, seed: seed, stepSeconds: stepSeconds, losses: [(4, 3.0), (8, end)], steps: 8,
          flops: 5))
    }
    return fixture
  }

  private func near(_ a: Double?, _ b: Double) -> Bool { a.map { abs($0 - b) < 1e-9 } ?? false }

  @Test(
    "At equal FLOPs final losses are compared, the time of whole runs counts, and the summary says how long each is")
  func equalFlops() throws {
    try fixture(.flops, stepSeconds: 0.6).report { report, page in
      let summary = report.summary, csr = summary.structures[1]
      #expect(summary.equal == .flops && summary.equalFlops == 40)
      #expect(csr.steps == 8 && csr.tokens == 80 && summary.structures[0].steps == 4)
      #expect(near(csr.trainingSeconds, 4.8) && near(csr.relativeTrainingSeconds, 1.2))
      #expect(csr.lossAtEqualFlops == 1.5)
      // 4 s lie two thirds of the way from the evaluation at 2.4 s to that at 4.8 s.
      #expect(near(csr.lossAtEqualTime, 2))
      // Lower at equal FLOPs by 0.55, for a fifth more time; at equal time by 0.05, within the spread of 0.1.
      #expect(csr.verdict == .trades)
      #expect(
        csr.reason.hasPrefix("It has 8 steps where dense has 4, and its run takes 20% more time than that of dense;"))
      #expect(csr.reason.contains("at equal FLOPs its loss is 0.550 below that of dense, at equal time 0.050 below"))
      #expect(summary.answer.contains("with the FLOPs of 4 steps of 10 tokens of dense for every structure"))
      #expect(summary.answer.contains("Dense is not the best: at equal FLOPs csr is 0.550 nats per token below it"))
      #expect(summary.answer.contains("At equal FLOPs dense's loss is 2.050."))
      #expect(page.contains("within one step's: that is the experiment"))
      #expect(page.contains("<th scope=\"col\">within dense's time"))
      #expect(!page.contains("<th scope=\"col\">within dense's FLOPs"))
      #expect(page.contains("within dense's time” is read off these runs and one-sided"))
      let pareto = try #require(SurveyFigures(report.findings).figures.first { $0.name == "pareto" })
      #expect(pareto.table.columns.suffix(3) == ["equal", "steps", "tokens"])
      #expect(pareto.table.rows.map { Array($0.suffix(3)) } == [["flops", "4", "40"], ["flops", "8", "80"]])
      #expect(pareto.table.columns[2] == "relativeTrainingSeconds" && near(Double(pareto.table.rows[1][2]), 1.2))
    }
  }

  @Test("At equal FLOPs a lower loss in no more time pays, and a higher one in as much time is for no use")
  func verdictsAtEqualFlops() throws {
    try fixture(.flops, stepSeconds: 0.4).report { report, _ in
      #expect(report.summary.structures[1].verdict == .pays)
      #expect(report.summary.answer.contains("csr pays: a lower loss than dense within dense's time."))
    }
    try fixture(.flops, stepSeconds: 0.5, end: 2.5).report { report, _ in
      #expect(report.summary.structures[1].verdict == .doNotUse)
      #expect(report.summary.answer.contains("nothing pays"))
      #expect(report.summary.answer.contains("Dense is the best at equal FLOPs: the next, csr, is 0.450"))
    }
  }

  @Test("At equal time the loss at equal time is the final one where a run took what was planned, and only then")
  func equalTime() throws {
    try fixture(.time, stepSeconds: 0.51).report { report, page in
      let csr = report.summary.structures[1]
      #expect(near(csr.relativeTrainingSeconds, 1.02))
      #expect(csr.lossAtEqualTime == 1.5 && csr.verdict == .pays)
      #expect(
        csr.reason.contains("its run takes as long as that of dense, within 50%; at equal time its loss is 0.550"))
      // 40 FLOP are the whole run.
      #expect(csr.lossAtEqualFlops == 1.5)
      #expect(report.summary.answer.contains("with the training time of 4 steps of 10 tokens of dense"))
      #expect(page.contains("have the training time of dense: that is the experiment"))
      #expect(!page.contains("another time than was planned:"))
      #expect(page.contains("<th scope=\"col\">within dense's FLOPs"))
      #expect(!page.contains("<th scope=\"col\">within dense's time"))
    }
    // Half of the run and more is too long to count as equal: 4 s lie a quarter of the way from 3.2 s to 6.4 s.
    try fixture(.time, stepSeconds: 0.8).report { report, page in
      #expect(page.contains("The runs of csr took another time than was planned:"))
      let csr = report.summary.structures[1]
      #expect(near(csr.lossAtEqualTime, 2.625))
      #expect(csr.verdict == .trades && csr.reason.contains("60% more time than that of dense"))
      #expect(csr.reason.contains("when dense had finished 0.575 above that of dense"))
    }
  }

  @Test("At equal steps the report says that losses within dense's FLOPs and time are one-sided")
  func equalSteps() throws {
    var plain = fixture(.steps, stepSeconds: 0.5)
    plain.equal = nil
    for index in plain.runs.indices { plain.runs[index].steps = nil }
    plain.runs[2].losses = [(2, 3.0), (4, 1.5)]
    try plain.report { report, page in
      #expect(report.summary.equal == .steps && report.summary.structures[1].steps == 4)
      #expect(page.contains("the same number of steps and tokens: that is the experiment"))
      #expect(page.contains("read off these runs and one-sided"))
      #expect(!report.summary.answer.contains("dense's loss is"))
    }
  }

  @Test("A run that is not finished is so against its own length")
  func ownLengths() throws {
    var fixture = fixture(.flops, stepSeconds: 0.5)
    fixture.runs[2].isDone = false
    try fixture.report { report, _ in
      #expect(
        report.summary.missing.contains("The run runs/csr-d0.5-s1 is not finished: 8 of 8 steps are recorded."))
    }
  }
}
