import Arrays
import Checkpoints
import Devices
import Foundation
import Model
import Records
import Structures
import Tokenizers
import Training

/// A model on the disk, a run directory or a Hugging Face directory: what it is, checked, and nothing loaded yet.
///
/// A weight is dense under Hugging Face's name, or structured as a checkpoint has it: `<weight>.values[.<tensor>]` and
/// `<weight>.indices[.<array>]`, its label in the file's metadata. The file alone says which; a pattern that moved in
/// training is read as it is.
package struct StoredModel: Sendable {
  package let path: String
  package let configuration: MistralConfiguration
  package let plan: MistralPlan
  /// Nil where the directory has none.
  package let tokenizer: (any Tokenizer)?
  package let tokenizerFile: TokenizerFile?
  /// Of a run: the sequence it was trained on.
  package let sequence: Int?
  /// Of a run: whether documents had the tokenizer's end token behind them.
  package let documentEnds: Bool
  package let remarks: [String]
  let tensors: TensorFiles

  private static let ignoredEndings = [".self_attn.rotary_emb.inv_freq"]

  /// A run directory has a `run.json`, a Hugging Face directory a `config.json`.
  package init(_ url: URL) throws {
    let run = RunFolder(url)
    let configuration = url.appendingPathComponent("config.json")
    if run.exists {
      try self.init(run: run)
    } else if FileManager.default.fileExists(atPath: configuration.path) {
      try self.init(huggingFace: url, configuration)
    } else {
      throw Self.refusal(of: url)
    }
  }

  /// Why there is no model, by what there is.
  private static func refusal(of url: URL) -> Refusal {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      return .badInput("there is nothing at \(url.path); check the path of the model")
    }
    guard isFolder.boolValue else {
      return .badInput("\(url.path) is a file; give a run directory or a Hugging Face directory")
    }
    if FileManager.default.fileExists(atPath: url.appendingPathComponent("survey.json").path) {
      return .badInput("\(url.path) is a survey of many models; give one of its runs/, such as runs/dense-d1-s1")
    }
    return .badInput(
      "\(url.path) has neither a run.json nor a config.json; give a run directory or a Hugging Face directory")
  }

  // MARK: Hugging Face

  private init(huggingFace url: URL, _ configurationURL: URL) throws {
    let configuration = try MistralConfiguration(contentsOf: configurationURL)
    let tensors = try TensorFiles(folder: url)
    var remarks = configuration.remarks
    var file: TokenizerFile?
    // Tokens can be scored without it: what is wrong with it matters where a text is given.
    do {
      file = try Self.tokenizerFile(in: url)
      if let tokenizer = file?.tokenizer, tokenizer.vocabularySize > configuration.architecture.vocabularySize {
        remarks.append(
          "\(url.path) has a tokenizer of \(tokenizer.vocabularySize) tokens and a model of "
            + "\(configuration.architecture.vocabularySize): the tokenizer is not used")
        file = nil
      }
    } catch let refusal as Refusal {
      remarks.append("\(refusal.sentence) (the tokenizer is not used)")
    }
    try self.init(url.path, configuration, tensors, file?.tokenizer, file, run: nil, remarks)
  }

  private static func tokenizerFile(in folder: URL) throws -> TokenizerFile? {
    for name in [TokenizerFile.jsonName, TokenizerFile.modelName] {
      let url = folder.appendingPathComponent(name)
      if FileManager.default.fileExists(atPath: url.path) { return try TokenizerFile.named(url.path).file }
    }
    return nil
  }

  // MARK: Runs

  /// The payload of a checkpoint's state, which is the trainer's own.
  private struct AnyState: Decodable {
    init(from decoder: any Decoder) throws {}
  }

  private init(run: RunFolder) throws {
    let record = try RecordJSON.read(RunRecord.self, from: run.record)
    guard record.schema == RunRecord.schemaName else {
      throw Refusal.badInput("\(run.record.path) has schema '\(record.schema)', not \(RunRecord.schemaName)")
    }
    guard let newest = CheckpointDirectory.newest(in: run.checkpoints) else {
      throw Refusal.badInput("\(run.url.path) has no checkpoint yet; train until one is written")
    }
    let checkpoint = try CheckpointDirectory.load(newest, as: AnyState.self)
    let tensors = TensorFiles(checkpoint.model)
    let file = try Self.tokenizerFile(in: run.url)
    let tokenizer: any Tokenizer = file?.tokenizer ?? ByteTokenizer()
    let named = record.configuration.tokenizer
    guard tokenizer.name == named || named == TokenStream.unnamedTokenizer else {
      throw Refusal.badInput(
        "\(run.url.path) was trained with the tokenizer \(named) and holds \(tokenizer.name); put back its tokenizer file"
      )
    }
    var architecture = record.configuration.architecture
    // A narrow control has fewer hidden units than its configuration asks for.
    let gate = "model.layers.0.mlp.gate_proj.weight"
    if tensors.names.contains(gate) { architecture.intermediateSize = try tensors.shape(gate)[0] }
    var configuration = MistralConfiguration(architecture, positions: record.configuration.sequence)
    configuration.beginning = tokenizer.beginning.map(Int.init)
    configuration.ends = tokenizer.end.map { [Int($0)] } ?? []
    try self.init(
      run.url.path, configuration, tensors, named == TokenStream.unnamedTokenizer ? nil : tokenizer, file,
      run: record.configuration, [])
  }

  // MARK: Either

  private init(
    _ path: String, _ configuration: MistralConfiguration, _ tensors: TensorFiles, _ tokenizer: (any Tokenizer)?,
    _ file: TokenizerFile?, run: TrainingConfiguration?, _ remarks: [String]
  ) throws {
    if let tokenizer, tokenizer.vocabularySize > configuration.architecture.vocabularySize {
      throw Refusal.badInput(
        "\(path) has a tokenizer of \(tokenizer.vocabularySize) tokens and a model of "
          + "\(configuration.architecture.vocabularySize); put back the right tokenizer file")
    }
    let plan = try MistralPlan(configuration.architecture, structure: "dense", density: 1, seed: 0) { name, shape in
      try Self.structure(of: "\(name).weight", shape, tensors)
    }
    var remarks = remarks
    let expected = Set(plan.tensors.map(\.name) + plan.patternNames)
    var unknown = tensors.names.subtracting(expected).filter { name in
      !Self.ignoredEndings.contains { name.hasSuffix($0) }
    }
    if configuration.architecture.tiedEmbeddings, unknown.remove("lm_head.weight") != nil {
      remarks.append("\(tensors.path) has an lm_head.weight that is not used: the embedding is tied to the output")
    }
    if let name = unknown.min() {
      throw Refusal.badInput(
        "\(tensors.path) has the tensor '\(name.prefix(80))', which a Mistral of this shape has not")
    }
    for tensor in plan.tensors {
      guard tensors.names.contains(tensor.name) else {
        throw Refusal.badInput("\(tensors.path) has no tensor '\(tensor.name)'; check that it is the right model")
      }
      guard try tensors.shape(tensor.name) == tensor.shape else {
        throw Refusal.badInput(
          "\(tensors.path): '\(tensor.name)' has shape \(try tensors.shape(tensor.name)) where \(tensor.shape) is needed"
        )
      }
    }
    self.path = path
    self.configuration = configuration
    self.plan = plan
    self.tokenizer = tokenizer
    tokenizerFile = file
    sequence = run?.sequence
    documentEnds = run?.documentEnds ?? false
    self.tensors = tensors
    self.remarks = remarks
  }

  /// Dense where the file has the plain weight, else what its label and index arrays describe.
  private static func structure(of weight: String, _ shape: Shape, _ tensors: TensorFiles) throws -> any Structure {
    if tensors.names.contains(weight) { return Dense(shape: shape) }
    guard let label = ModelMetadata.label(of: weight, in: tensors.metadata) else {
      throw Refusal.badInput("\(tensors.path) has no tensor '\(weight)'; check that it is the right model")
    }
    let prefix = "\(weight).indices."
    var pattern = Pattern()
    for name in tensors.names where name.hasPrefix(prefix) {
      pattern.arrays[String(name.dropFirst(prefix.count))] = try tensors.int32s(name)
    }
    do {
      return try Catalog.member(label, of: shape, pattern: pattern)
    } catch let refusal as Refusal {
      throw Refusal(refusal.kind, "\(tensors.path) is damaged at \(weight): \(refusal.sentence)")
    }
  }

  /// Reads all weights onto the device, one tensor at a time.
  package func load(on device: any Device, progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }) throws
    -> LoadedModel
  {
    let parameters = try Parameters(zerosFor: plan, on: device)
    for tensor in plan.tensors {
      let numbers = try tensors.floats(tensor.name, shape: tensor.shape)
      try numbers.withUnsafeBufferPointer { try device.write($0, to: parameters.values[tensor.range]) }
      try progress(tensor.range.upperBound, plan.parameterCount)
    }
    return LoadedModel(stored: self, parameters: parameters, device: device)
  }
}

/// A stored model's weights on a device.
package struct LoadedModel: Sendable {
  package let stored: StoredModel
  package let parameters: Parameters
  package let device: any Device

  /// The model for so many sequences of so many tokens.
  package func mistral(batch: Int, sequence: Int) throws -> Mistral {
    guard (1...1 << 20).contains(sequence), (1...1 << 20).contains(batch), batch <= (1 << 26) / sequence else {
      throw Refusal.badInput(
        "\(batch) sequences of \(sequence) tokens cannot be planned for; give fewer or shorter ones")
    }
    let a = stored.configuration.architecture
    let features = 4 * a.hiddenSize + (2 * a.heads + 2 * a.keyValueHeads) * a.headDimension + 3 * a.intermediateSize
    let bytes = 4.0 * Double(batch) * Double(sequence) * Double(a.layers + 1) * Double(features)
    guard bytes <= Double(ProcessInfo.processInfo.physicalMemory) else {
      throw Refusal.badInput(
        "\(batch) sequences of \(sequence) tokens need \(Int(bytes / 1e9)) GB of memory and this machine has "
          + "\(ProcessInfo.processInfo.physicalMemory / 1_000_000_000); give fewer or shorter ones")
    }
    return try Mistral(stored.plan, batch: batch, sequence: sequence, on: device, parameters: parameters)
  }
}

extension MistralPlan {
  /// The names of all index arrays in a checkpoint.
  var patternNames: [String] {
    mlpLinears.flatMap { linear in linear.structure.pattern.arrays.keys.map { "\(linear.name).weight.indices.\($0)" } }
  }
}
