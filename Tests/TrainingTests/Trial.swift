import Arrays
import Devices
import Foundation
import Measuring
import Model
import Records
import Structures

@testable import Training

/// A run of a very small model in a folder of its own.
final class Trial {
  let corpus: Corpus
  let folder: RunFolder
  let plan: RunPlan
  private let threads: Int
  private let owned: Bool

  init(
    _ structure: String, threads: Int = 2, steps: Int = 12, learningRate: Double = 3e-3, changing: String = "",
    folder: RunFolder? = nil, configure: (inout TrainingConfiguration) -> Void = { _ in }
  ) throws {
    let sequence = 24
    corpus = try Corpus.generated(
      seed: changing == "text" ? 2 : 1, sequence: sequence, trainingBytes: 20000, validationBytes: 2000)
    let architecture = Architecture(
      hiddenSize: 32, intermediateSize: 64, layers: 1, heads: 2, keyValueHeads: 1, headDimension: 16,
      vocabularySize: 256, initializerRange: 0.1)
    var configuration = TrainingConfiguration(
      preset: "test", architecture: architecture, structure: structure, density: structure == "dense" ? 1 : 0.5,
      data: [], validation: [], dataChecksum: corpus.checksum, tokenizer: "bytes", steps: steps, batch: 3,
      sequence: sequence, learningRate: changing == "learningRate" ? 1e-3 : learningRate, warmupSteps: 2,
      evaluateEvery: 4, evaluationSequences: 4, checkpointEvery: 5)
    configure(&configuration)
    let machine = MachineRecord(
      processor: "", cores: 1, memoryBytes: 1 << 40, operatingSystem: "", isa: "", device: "cpu", threads: threads,
      peakFlopsPerSecond: 1, bytesPerSecond: 1, denseLibraries: [], energyReadable: false)
    plan = try RunPlan(
      configuration, seed: changing == "seed" ? 9 : 1, argv: [], machine: machine, versions: [:], logitTokens: 256)
    self.threads = threads
    owned = folder == nil
    self.folder =
      folder
      ?? RunFolder(
        FileManager.default.temporaryDirectory.appendingPathComponent("filigree-trainer-\(UUID().uuidString)"))
  }

  deinit { if owned { try? FileManager.default.removeItem(at: folder.url) } }

  /// Makes the record in the folder this run's, so that it goes on from another's checkpoints.
  func adopt(_ folder: RunFolder) throws { try RecordJSON.write(plan.record, to: folder.record) }

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
          gradientNorm: $0.gradientNorm, flops: $0.flops, validationLoss: $0.validationLoss, changed: $0.changed,
          effectiveWidth: $0.effectiveWidth, parameters: $0.parameters)
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
