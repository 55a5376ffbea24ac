import Arrays
import Devices
import Foundation
import Records
import Structures
import Testing

@testable import Training

/// A run of another length costs what it is to cost, and is a whole run of that length.
@Suite struct RunLengthTests {
  private static let steps = 24

  private func lengthened(_ trial: Trial, to steps: Int) throws -> RunPlan {
    var c = trial.plan.record.configuration
    c.steps = steps
    return try trial.plan.lengthened(to: c)
  }

  @Test(
    "A run of any family as long as dense's FLOPs allow has those FLOPs within half a step's",
    arguments: Catalog.all.map { $0.card.family }, [1, 7, 24, 1000])
  func families(_ family: String, _ steps: Int) throws {
    let flops = try #require(try Trial("dense", steps: steps).plan.record.trainingFlops)
    let trial = try Trial(family, steps: steps)
    let length = try RunLength.steps(of: trial.plan, flops: flops)
    let record = try lengthened(trial, to: length).record
    let own = try #require(record.trainingFlops)
    #expect(length == 1 || abs(own - flops) <= record.flopsPerStep / 2)
    #expect(length >= 1 && (length > 1 || own >= flops - record.flopsPerStep / 2))
  }

  @Test(
    "A run by any method, a guide among them, has dense's FLOPs within its costliest step's, added up as it trains",
    arguments: MethodTrainingTests.ways)
  func methods(_ way: MethodTrainingTests.Way) throws {
    let dense = try Trial("dense", steps: Self.steps)
    _ = try dense.run()
    let wanted = try dense.metrics.compactMap(\.flops).reduce(0, +)
    let plan = try Trial(way.structure, steps: Self.steps, configure: way.configure)
    let length = try RunLength.steps(of: plan.plan, flops: wanted)
    let trial = try Trial(way.structure, steps: length, configure: way.configure)
    #expect(try trial.run() == .finished)
    let flops = try trial.metrics.compactMap(\.flops)
    #expect(flops.count == length)
    #expect(abs(flops.reduce(0, +) - wanted) <= (flops.max() ?? 0))
  }

  @Test(
    "The schedule ends at the run's own last step, and evaluations lie at the same fractions", arguments: [5, 24, 37])
  func schedule(_ steps: Int) throws {
    let trial = try Trial("csr", steps: steps) {
      ($0.evaluations, $0.warmupSteps) = (5, max(1, steps / 10))
    }
    _ = try trial.run()
    let c = trial.plan.record.configuration
    let rates = try trial.metrics.compactMap(\.learningRate)
    #expect(rates.count == steps)
    // A product and a quotient are rounded.
    #expect(abs(rates[c.warmupSteps - 1] / c.learningRate - 1) <= 2 * .ulpOfOne)
    // Of the cosine from warm-up to the last step, the last but one of its steps' ends.
    let rest = Double(steps - c.warmupSteps)
    let last = c.learningRate * (0.1 + 0.9 * (1 + cos(.pi * (rest - 1) / rest)) / 2)
    #expect(abs(try #require(rates.last) - last) < 1e-12)
    let evaluated = try trial.metrics.filter { $0.validationLoss != nil }.map(\.step)
    #expect(evaluated == [0] + (1...5).map { Int((Double($0 * steps) / 5).rounded(.up)) })
  }

  @Test("A run as long as dense's time has that time within half a step's, and at least one step")
  func time() {
    for (steps, dense, own) in [(130, 0.03, 0.011), (1, 1.0, 3.0), (600, 0.2, 0.2), (20000, 60, 17.3)] {
      let length = RunLength.steps(lasting: steps, of: dense, at: own)
      #expect(length >= 1)
      #expect(length == 1 || abs(Double(length) * own - Double(steps) * dense) <= own / 2 * (1 + 1e-12))
    }
    #expect(RunLength.steps(lasting: 1 << 30, of: 1, at: 1e-300) == RunLength.most)
  }

  @Test("Steps of every way to train can be timed beside dense's before a run, which is as if nothing had been timed")
  func rehearsal() throws {
    let ways = [Way("csr", "set"), Way("csr", "magnitude"), Way("nm-2:4t", "sr-ste"), Way("lowrank-8", "self-guided")]
    let dense = try Trial("dense")
    for way in ways {
      let trial = try way.trial(), alone = try way.trial()
      var checks = 0
      let rehearsal = try Rehearsal(
        trial.plan, beside: dense.plan, corpus: trial.corpus, on: try CPUDevice(threads: 2), check: { checks += 1 })
      #expect(rehearsal.seconds > 0 && rehearsal.denseSeconds > 0 && checks > 2)
      #expect(!FileManager.default.fileExists(atPath: trial.folder.url.path))
      _ = try trial.run()
      _ = try alone.run()
      #expect(try trial.losses == alone.losses)
      #expect(try trial.finalModel == alone.finalModel)
    }
  }

  @Test("What a check throws ends the timing of steps, and a machine too small for two models is refused by name")
  func rehearsalRefusals() throws {
    struct Stop: Error {}
    let dense = try Trial("dense"), csr = try Trial("csr")
    #expect(throws: Stop.self) {
      try Rehearsal(csr.plan, beside: dense.plan, corpus: csr.corpus, on: try CPUDevice(threads: 1)) { throw Stop() }
    }
    var machine = csr.plan.record.machine
    machine.memoryBytes = (dense.plan.record.neededBytes ?? 0) + 1
    let small = try RunPlan(
      csr.plan.record.configuration, seed: 1, argv: [], machine: machine, versions: [:], logitTokens: 256)
    let refusal = try #require(
      throws: Refusal.self,
      performing: {
        try Rehearsal(small, beside: dense.plan, corpus: csr.corpus, on: try CPUDevice(threads: 1), check: {})
      })
    #expect(refusal.kind == .badInput && refusal.sentence.contains("--equal flops"))
  }

  private typealias Way = MethodTrainingTests.Way
}

extension MethodTrainingTests.Way {
  fileprivate init(_ structure: String, _ method: String) { self.init(structure: structure, method: method) }
}
