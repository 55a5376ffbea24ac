import Arrays
import Devices
import Foundation
import Measuring
import Model
@_exported import Records
import Structures
import Tokenizers
import Training

/// What the command line does with one structure, for a program of your own: time it, train with it.
public enum Trial {
  /// The three products of a member, each verified against its definition and timed beside the best dense product, as
  /// `filigree bench` does; one record a pass.
  /// - Throws: a `Refusal` when the label, shape or density has no member, or the machine not the memory.
  public static func bench(
    _ label: String, outputs: Int, inputs: Int, tokens: Int, density: Double, seed: UInt64 = 1,
    device: (any Device)? = nil
  ) throws -> [BenchRecord] {
    guard (1...1 << 24).contains(outputs), (1...1 << 24).contains(inputs), (1...1 << 24).contains(tokens) else {
      throw Refusal.badInput("\(outputs) x \(inputs) at \(tokens) tokens cannot be timed; give numbers from 1 to 2^24")
    }
    let bench = try Bench(device: try device ?? CPUDevice(), libraries: DenseLibrary.found())
    let member = try Catalog.member(
      label, of: Shape(outputs: outputs, inputs: inputs), density: density, seed: seed)
    var records: [BenchRecord] = []
    try bench.run(member, requestedDensity: density, tokens: tokens, passes: DenseProduct.allCases) {
      records.append($0)
    }
    return records
  }

  /// Trains the preset `mistral-tiny` with this structure in its MLP on the generated text, as `filigree train` does.
  ///
  /// Leaves a run directory in `folder`, which `filigree report` and `evaluate` read, and continues one that is there.
  /// - Returns: one metric a step, and one an evaluation.
  public static func train(
    _ label: String, density: Double, steps: Int, folder: URL, seed: UInt64 = 1, device: (any Device)? = nil
  ) throws -> [MetricRecord] {
    let preset = try Preset.named("mistral-tiny"), device = try device ?? CPUDevice()
    let corpus = try Corpus.generated(seed: seed, sequence: preset.sequence)
    let configuration = preset.configuration(
      structure: label, density: density, corpus: corpus, data: [], validation: [], tokenizer: ByteTokenizer(),
      steps: steps)
    let machine = MachineRecord(device: device, libraries: [], limits: try device.measureLimits())
    let plan = try RunPlan(
      configuration, seed: seed, argv: CommandLine.arguments, machine: machine, versions: [:],
      logitTokens: device.tokensOfLogits(vocabulary: configuration.architecture.vocabularySize))
    let trainer = try Trainer(plan.record, plan: plan.model, corpus: corpus, folder: folder, on: device)
    var metrics: [MetricRecord] = []
    _ = try trainer.run(interrupted: { false }) { metrics.append($0) }
    return metrics
  }
}
