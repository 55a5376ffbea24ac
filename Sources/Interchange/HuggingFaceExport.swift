import Arrays
import Checkpoints
import Devices
import Foundation
import Model
import Records
import Structures
import Tokenizers
import Training

/// Writes a model as a Hugging Face directory, whole or not at all.
///
/// - densified: every weight as the dense matrix that it stands for, under transformers' names; no field of ours anywhere.
/// - compressed: structured weights as in a checkpoint, bit for bit; transformers cannot load it, Filigree can.
///
/// `config.json`, `generation_config.json`, `model.safetensors` and the tokenizer's files. Bytes, which need no file here,
/// get a `tokenizer.json` of 256 tokens and no merges, so that transformers can use the model as it is.
package struct HuggingFaceExport {
  package enum Form: Sendable { case densified, compressed }

  private let model: Mistral
  private let loaded: LoadedModel
  private let form: Form

  package init(_ loaded: LoadedModel, _ form: Form) throws {
    self.loaded = loaded
    self.form = form
    // The smallest that there is: only its weights are wanted.
    model = try loaded.mistral(batch: 1, sequence: 1)
  }

  package func write(to url: URL) throws {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    guard entries.isEmpty else {
      throw Refusal.badInput("\(url.path) is not empty; choose another --out, or remove it")
    }
    guard try loaded.device.sumOfSquares(model.parameters.values).isFinite else {
      throw Refusal.failed("\(loaded.stored.path) has weights that are no finite numbers; its weights are damaged")
    }
    let tensors = try form == .densified ? densified() : ModelFile(model: model, device: loaded.device).values()
    try AtomicFile.writeFolder(to: url) { folder in
      func write(_ name: String, _ bytes: [UInt8]) throws {
        try AtomicFile.write(bytes, to: folder.appendingPathComponent(name))
      }
      try write("config.json", loaded.stored.configuration.file())
      try write("generation_config.json", generationConfiguration())
      for (name, bytes) in tokenizerFiles() { try write(name, bytes) }
      try tensors.write(to: folder.appendingPathComponent(TensorFiles.name))
    }
  }

  /// One matrix at a time, when it is written.
  private func densified() throws -> SafetensorsWriter {
    // transformers asks for the format by name.
    var writer = SafetensorsWriter(metadata: ["format": "pt"])
    let device = loaded.device, values = model.parameters.values
    for tensor in model.parameters.tensors where !tensor.name.contains(".weight.values.") {
      try writer.add(tensor.name, .f32, shape: tensor.shape) { write in
        try device.numbers(values[tensor.range]).withUnsafeBytes(write)
      }
    }
    for matrix in model.structuredMatrices {
      let shape = matrix.structure.shape
      try writer.add(matrix.weight, .f32, shape: [shape.outputs, shape.inputs]) { write in
        let dense = matrix.structure.materialize(try device.numbers(values[matrix.range]))
        try dense.map { Float($0) }.withUnsafeBytes(write)
      }
    }
    return writer
  }

  private func generationConfiguration() -> [UInt8] {
    let configuration = loaded.stored.configuration
    func text(_ token: Int?) -> String { token.map { "\($0)" } ?? "null" }
    return Array(
      "{\n  \"bos_token_id\": \(text(configuration.beginning)),\n  \"eos_token_id\": \(text(configuration.ends.first))\n}\n"
        .utf8)
  }

  private func tokenizerFiles() -> [(name: String, bytes: [UInt8])] {
    if let file = loaded.stored.tokenizerFile {
      let isJSON = file.usualName == TokenizerFile.jsonName
      return [(file.usualName, file.bytes)] + (isJSON ? [classFile] : [])
    }
    guard loaded.stored.tokenizer is ByteTokenizer else { return [] }
    return [(TokenizerFile.jsonName, BPEFileWriter.bytes()), classFile]
  }

  /// Which of transformers' classes reads `tokenizer.json`.
  private var classFile: (name: String, bytes: [UInt8]) {
    let text = "{\n  \"clean_up_tokenization_spaces\": false,\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n"
    return ("tokenizer_config.json", Array(text.utf8))
  }
}
