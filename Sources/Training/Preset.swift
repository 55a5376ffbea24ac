import Arrays
import Model
import Records
import Tokenizers

/// Named models and the training that suits them. All keep the proportions of the 162M reference: heads of 64, four
/// times as many hidden units as features, untied embeddings, and first weights whose outputs vary as much as the
/// reference's (0.02 at 768 features).
package struct Preset: Sendable {
  package let name: String
  package var architecture: Architecture
  package let steps: Int
  package let batch: Int
  package let sequence: Int
  package let learningRate: Double

  package static let all: [Preset] = [
    Preset("mistral-tiny", hidden: 128, layers: 4, vocabulary: 256, steps: 300, batch: 4, sequence: 128, rate: 1.5e-3),
    Preset("mistral-4m", hidden: 192, layers: 6, vocabulary: 256, steps: 1500, batch: 8, sequence: 256, rate: 2e-3),
    Preset("mistral-13m", hidden: 320, layers: 8, vocabulary: 256, steps: 3000, batch: 16, sequence: 256, rate: 1.5e-3),
    Preset(
      "mistral-58m", hidden: 512, layers: 10, vocabulary: 16000, steps: 10000, batch: 32, sequence: 512, rate: 1e-3),
    Preset(
      "mistral-162m", hidden: 768, layers: 12, vocabulary: 32000, steps: 20000, batch: 64, sequence: 1024, rate: 6e-4),
  ]

  private init(
    _ name: String, hidden: Int, layers: Int, vocabulary: Int, steps: Int, batch: Int, sequence: Int, rate: Double
  ) {
    self.name = name
    architecture = Architecture(
      hiddenSize: hidden, intermediateSize: 4 * hidden, layers: layers, heads: hidden / 64, keyValueHeads: hidden / 64,
      headDimension: 64, vocabularySize: vocabulary, initializerRange: 0.02 * (768 / Double(hidden)).squareRoot())
    self.steps = steps
    self.batch = batch
    self.sequence = sequence
    learningRate = rate
  }

  package static func named(_ name: String) throws -> Preset {
    guard let preset = all.first(where: { $0.name == name }) else {
      throw Refusal.badInput("there is no preset '\(name)'; the presets are \(all.map(\.name).joined(separator: ", "))")
    }
    return preset
  }

  /// The whole configuration of a run of `steps` steps.
  package func configuration(
    structure: String, density: Double, corpus: Corpus, data: [String], validation: [String], tokenizer: any Tokenizer,
    steps: Int? = nil
  ) -> TrainingConfiguration {
    let steps = steps ?? self.steps
    return TrainingConfiguration(
      preset: name, architecture: architecture, structure: structure, density: density, data: data,
      validation: validation, dataChecksum: corpus.checksum, tokenizer: corpus.tokenizerName(tokenizer), steps: steps,
      batch: batch, sequence: sequence, learningRate: learningRate, warmupSteps: max(1, steps / 10),
      evaluateEvery: max(1, steps / 10), evaluationSequences: 32, checkpointEvery: max(1, steps / 10),
      documentEnds: corpus.hasDocumentEnds ? true : nil)
  }
}
