import Foundation
import Records
import Testing

@testable import Reporting

/// The comparisons of a survey, worked out by hand.
@Suite struct FairnessTests {
  /// Four steps each; dense does 10 operations a step, so 40 in all.
  private var equal: SurveyFixture {
    var fixture = SurveyFixture()
    fixture.runs = [
      .init(structure: "dense", seed: 1, losses: [(2, 3.0), (4, 2.0)], flops: 10),
      .init(structure: "dense", seed: 2, losses: [(2, 3.0), (4, 2.1)], flops: 10),
      .init(structure: "narrow", density: 0.5, losses: [(2, 3.0), (4, 2.5)], flops: 5),
      .init(structure: "csr", density: 0.5, losses: [(2, 3.5), (4, 2.2)], flops: 5),
      .init(structure: "csr", density: 0.5, losses: [(2, 2.9), (4, 1.9)], flops: 20, variant: "rigl"),
      .init(structure: "bsr-32", density: 0.25, losses: [(2, 2.9), (4, 1.9)], flops: 16),
    ]
    return fixture
  }

  @Test(
    "At equal operations a costlier run is read off its curve where dense ended, a cheaper one counts with its last loss"
  )
  func equalOperations() throws {
    try equal.report { report, _ in
      let summary = report.summary
      #expect(summary.equalFlops == 40)
      let losses = summary.structures.map(\.lossAtEqualFlops)
      #expect(losses[0].map { abs($0 - 2.05) < 1e-12 } == true)
      #expect(losses[1] == 2.5 && losses[2] == 2.2)
      #expect(losses[3] == 2.9)
      // 40 operations are two and a half steps of 16: a quarter of the way from 2.9 to 1.9.
      #expect(losses[4].map { abs($0 - 2.65) < 1e-12 } == true)
    }
  }

  @Test("A record without its steps' operations has those of the model")
  func olderRecords() throws {
    var fixture = equal
    for index in fixture.runs.indices { fixture.runs[index].flops = nil }
    try fixture.report { report, _ in #expect(report.summary.equalFlops == 24e9) }
  }

  @Test("The same structure trained in two ways is two, by name, and both are held against narrow of their density")
  func narrow() throws {
    try equal.report { report, page in
      let findings = report.findings
      #expect(findings.structures.map(\.name) == ["dense", "narrow", "csr", "csr (rigl)", "bsr-32"])
      let differences = report.summary.structures.map(\.differenceToNarrow)
      #expect(differences[0] == nil && differences[1] == nil && differences[4] == nil)
      #expect(differences[2].map { abs($0 + 0.3) < 1e-12 } == true)
      #expect(differences[3].map { abs($0 + 0.6) < 1e-12 } == true)
      // Dense's range of 0.1 is the only spread that is known.
      #expect(findings.spreadToNarrow(of: findings.structures[2]).map { abs($0 - 0.1) < 1e-12 } == true)
      #expect(page.contains("<td>−0.300</td>") && page.contains("<td>−0.600</td>"))
      #expect(page.contains("none with its best"))
    }
  }

  @Test("Of a sweep the best rate counts, with the seeds that took it; every rate is shown")
  func sweep() throws {
    var fixture = SurveyFixture()
    fixture.learningRates = [0.001, 0.01, 0.1]
    fixture.runs = [
      .init(structure: "dense", losses: [(4, 2.4)], learningRate: 0.001),
      .init(structure: "dense", losses: [(4, 2.0)], learningRate: 0.01),
      .init(structure: "dense", losses: [(4, 2.6)], learningRate: 0.1),
      .init(structure: "dense", seed: 2, losses: [(4, 2.2)]),
      .init(structure: "csr", density: 0.5, losses: [(4, 2.5)], learningRate: 0.001),
      .init(structure: "csr", density: 0.5, losses: [(4, 2.3)], learningRate: 0.01),
      .init(structure: "csr", density: 0.5, losses: [], learningRate: 0.1, divergence: "the loss exploded at step 3"),
    ]
    try fixture.report { report, page in
      let (dense, csr) = (report.summary.structures[0], report.summary.structures[1])
      #expect(dense.learningRate == 0.01 && csr.learningRate == 0.01)
      #expect(dense.rates.map(\.finalValidationLoss) == [2.4, 2.0, 2.6])
      #expect(csr.rates.map(\.finalValidationLoss) == [2.5, 2.3, nil])
      #expect(dense.finalValidationLoss.map { abs($0 - 2.1) < 1e-12 } == true)
      #expect(dense.seedsPlanned == 2 && csr.seedsPlanned == 1)
      #expect(report.summary.missing.contains { $0.contains("diverged: the loss exploded at step 3") })
      #expect(page.contains("<td>diverged</td>") && page.contains("<strong>2.300</strong>"))
      #expect(!page.contains("end of the sweep for"))
    }
    fixture.learningRates = [0.001, 0.01]
    fixture.runs.removeAll { $0.learningRate == 0.1 }
    try fixture.report { _, page in #expect(page.contains("end of the sweep for dense and csr")) }
  }
}
