import Arrays
import Devices
import Foundation
import Measuring
import Model
import Records
import Structures
import Testing

@testable import Training

/// A run survives anything, and its losses are the same bits whatever happened on the way.
@Suite struct TrainerTests {
  @Test(
    "Stopped between any two steps and continued, a run has the uninterrupted losses and numbers",
    arguments: ["dense", "csr", "bsr-16", "lowrank-8"])
  func interruption(_ structure: String) throws {
    let whole = try Trial(structure), pieces = try Trial(structure)
    #expect(try whole.run() == .finished)
    var stops = 0
    while try pieces.run(stopAfter: 1 + stops % 4) == .interrupted { stops += 1 }
    #expect(stops >= 3)
    #expect(try pieces.losses == whole.losses)
    #expect(try pieces.finalModel == whole.finalModel)
  }

  @Test("Died in the middle of a step and continued, a run has the uninterrupted losses", arguments: [1, 4, 7, 11])
  func death(_ step: Int) throws {
    let whole = try Trial("bsr-16"), broken = try Trial("bsr-16")
    _ = try whole.run()
    struct Death: Error {}
    #expect(throws: Death.self) {
      try broken.run { metric in if metric.step == step, metric.loss != nil { throw Death() } }
    }
    // What a kill can leave behind: a line cut in the middle.
    let file = try FileHandle(forWritingTo: broken.folder.metrics)
    try file.seekToEnd()
    try file.write(contentsOf: Data(#"{"step":9"#.utf8))
    try file.close()
    #expect(try broken.run() == .finished)
    #expect(try broken.losses == whole.losses)
    #expect(try broken.finalModel == whole.finalModel)
  }

  @Test("The losses have the same bits with 1, 2 and 7 threads", arguments: ["dense", "monarch-4"])
  func threads(_ structure: String) throws {
    let one = try Trial(structure, threads: 1)
    _ = try one.run()
    for threads in [2, 7] {
      let other = try Trial(structure, threads: threads)
      _ = try other.run()
      #expect(try other.losses == one.losses)
    }
  }

  @Test(
    "Training lowers the validation loss below the unigram entropy for every family",
    arguments: Catalog.all.map { $0.card.family })
  func learning(_ family: String) throws {
    let trial = try Trial(family, steps: 250)
    _ = try trial.run()
    let losses = try trial.metrics.compactMap(\.validationLoss)
    #expect(try #require(losses.last) < trial.corpus.unigramEntropy)
    #expect(try #require(losses.last) < losses[0])
  }

  @Test("A finished run is not touched again")
  func finished() throws {
    let trial = try Trial("dense")
    _ = try trial.run()
    let before = try Data(contentsOf: trial.folder.metrics)
    #expect(try trial.run { _ in Issue.record("a step was taken") } == .finished)
    #expect(try Data(contentsOf: trial.folder.metrics) == before)
  }

  @Test("A run directory of another configuration, seed or text is refused by name")
  func otherConfiguration() throws {
    let trial = try Trial("dense")
    _ = try trial.run(stopAfter: 2)
    for (change, word) in [("learningRate", "learningRate"), ("seed", "seed"), ("text", "dataChecksum")] {
      let other = try Trial("dense", changing: change, folder: trial.folder)
      let refusal = #expect(throws: Refusal.self) { _ = try other.run() }
      #expect(refusal?.kind == .badInput && refusal?.sentence.contains(word) == true, "\(refusal?.sentence ?? "")")
    }
  }

  @Test("A loss that is not a number stops the run, names the step and keeps the last good checkpoint")
  func explosion() throws {
    let trial = try Trial("dense", learningRate: 1e30)
    let refusal = #expect(throws: Refusal.self) { _ = try trial.run() }
    #expect(refusal?.kind == .failed && refusal?.sentence.contains("step") == true)
  }
}

/// A run of a very small model in a folder of its own.
private final class Trial {
  let corpus: Corpus
  let folder: RunFolder
  private let plan: RunPlan
  private let threads: Int
  private let owned: Bool

  init(
    _ structure: String, threads: Int = 2, steps: Int = 12, learningRate: Double = 3e-3, changing: String = "",
    folder: RunFolder? = nil
  ) throws {
    let sequence = 24
    corpus = try Corpus.generated(
      seed: changing == "text" ? 2 : 1, sequence: sequence, trainingBytes: 20000, validationBytes: 2000)
    let architecture = Architecture(
      hiddenSize: 32, intermediateSize: 64, layers: 1, heads: 2, keyValueHeads: 1, headDimension: 16,
      vocabularySize: 256, initializerRange: 0.1)
    let configuration = TrainingConfiguration(
      preset: "test", architecture: architecture, structure: structure, density: structure == "dense" ? 1 : 0.5,
      data: [], validation: [], dataChecksum: corpus.checksum, tokenizer: "bytes", steps: steps, batch: 3,
      sequence: sequence, learningRate: changing == "learningRate" ? 1e-3 : learningRate, warmupSteps: 2,
      evaluateEvery: 4, evaluationSequences: 4, checkpointEvery: 5)
    let machine = MachineRecord(
      processor: "", cores: 1, memoryBytes: 1 << 40, operatingSystem: "", isa: "", device: "cpu", threads: threads,
      peakFlopsPerSecond: 1, bytesPerSecond: 1, denseLibraries: [], energyReadable: false)
    plan = try RunPlan(configuration, seed: changing == "seed" ? 9 : 1, argv: [], machine: machine, versions: [:])
    self.threads = threads
    owned = folder == nil
    self.folder =
      folder
      ?? RunFolder(
        FileManager.default.temporaryDirectory.appendingPathComponent("filigree-trainer-\(UUID().uuidString)"))
  }

  deinit { if owned { try? FileManager.default.removeItem(at: folder.url) } }

  /// A new trainer each time, as a new process would make one.
  func run(stopAfter steps: Int = .max, progress: (MetricRecord) throws -> Void = { _ in }) throws -> Trainer.Outcome {
    let trainer = try Trainer(
      plan.record, plan: plan.model, corpus: corpus, folder: folder.url, on: try CPUDevice(threads: threads))
    var taken = 0
    return try trainer.run(interrupted: { taken >= steps }) { metric in
      if metric.loss != nil { taken += 1 }
      try progress(metric)
    }
  }

  var metrics: [MetricRecord] {
    get throws { try JSONLines.read(MetricRecord.self, from: folder.metrics) }
  }

  /// What must not depend on the course of events: every line without its times.
  var losses: [MetricRecord] {
    get throws {
      try metrics.map {
        MetricRecord(
          step: $0.step, tokens: $0.tokens, loss: $0.loss, learningRate: $0.learningRate,
          gradientNorm: $0.gradientNorm, validationLoss: $0.validationLoss)
      }
    }
  }

  var finalModel: Data {
    get throws {
      let name = String(format: "%06d", plan.record.configuration.steps)
      return try Data(contentsOf: folder.checkpoints.appendingPathComponent("\(name)/model.safetensors"))
    }
  }
}
