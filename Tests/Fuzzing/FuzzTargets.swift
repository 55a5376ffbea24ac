import Arrays
import Checkpoints
import Foundation
import Interchange
import Model
import Records
import Structures

/// Every parser of files that come from outside.
extension FuzzTarget {
  package static let all: [FuzzTarget] =
    [json, safetensors, sealed, checkpoint, run, configuration, index, patterns] + tokenizers + texts

  // MARK: Models

  static let json = FuzzTarget(
    "json", seeds: [Array(#"{"a":[1,-2.5e3,true,null,"x\n\u00e9\ud834\udd1e"],"b":{"c":{}},"é":"é"}"#.utf8)],
    words: ["[", "{", "\"", "\\u", "\\ud800", "e+", "-", ",", ":"]
  ) {
    let value = try JSONValue(parsing: $0, at: "input")
    _ = (value["a"]?.array?.first?.integer, value["b"]?.double, value.kind)
  }

  private static func file(_ fill: (inout SafetensorsWriter) throws -> Void) -> [UInt8] {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("filigree-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: url) }
    do {
      var writer = SafetensorsWriter(metadata: ["format": "pt", "key": "value"])
      try fill(&writer)
      try writer.write(to: url)
      return Array(try Data(contentsOf: url))
    } catch {
      return []
    }
  }

  private static let tensorFile = file { writer in
    try writer.add("a.weight", .f32, shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
    try writer.add("b", .bf16, shape: [4], floats: [1, -2, 0.5, .infinity])
    try writer.add("c", shape: [2], int32s: [7, -1])
    try writer.add("d", shape: [], doubles: [3.5])
    try writer.add("e", .f16, shape: [0, 5], floats: [])
  }

  static let safetensors = FuzzTarget(
    "safetensors", seeds: [tensorFile, file { _ in }],
    words: [
      "\"dtype\":\"I64\"", "\"shape\":[", "\"data_offsets\":[0,", "__metadata__", "\"BOOL\"", "18446744073709551615",
    ]
  ) { bytes in
    let file = try Safetensors(bytes: bytes, path: "input")
    for name in file.tensors.keys {
      _ = try? file.floats(name)
      _ = try? file.doubles(name)
      _ = try? file.int32s(name)
      _ = try file.bytes(name)
    }
  }

  private struct State: Codable {
    var tokens = 5
    var names = ["a", "b"]
    var rates: [String: Double] = ["x": 0.5]
  }

  private static let sealedFile = (try? SealedJSON.bytes(of: State(), for: "seed")) ?? []

  /// Half of the time the seal is mended, so that what lies behind it is reached.
  private static func resealed(_ bytes: [UInt8]) -> [UInt8] {
    guard bytes.count > 30, bytes[bytes.count / 2] & 1 == 0 else { return bytes }
    var bytes = bytes
    bytes.replaceSubrange(18..<26, with: "00000000".utf8)
    bytes.replaceSubrange(18..<26, with: CRC32C.text(CRC32C.checksum(bytes)).utf8)
    return bytes
  }

  static let sealed = FuzzTarget("sealed", seeds: [sealedFile], words: ["\"checksum\"", "}", "null"]) {
    _ = try SealedJSON.decode(State.self, from: resealed($0), path: "input")
  }

  /// A checkpoint directory that is whole but for one file, in memory where the system has such a place.
  private static let checkpointFolder: URL = {
    let memory = URL(fileURLWithPath: "/dev/shm")
    let place = access(memory.path, W_OK) == 0 ? memory : FileManager.default.temporaryDirectory
    let folder = place.appendingPathComponent("filigree-fuzz-\(getpid())")
    var writer = SafetensorsWriter()
    try? writer.add("a", shape: [2], int32s: [1, 2])
    _ = try? CheckpointDirectory.save(step: 7, payload: State(), model: writer, optimizer: writer, in: folder, keep: 1)
    atexit { try? FileManager.default.removeItem(at: FuzzTarget.checkpointFolder) }
    return folder
  }()

  private static let checkpointFiles: [[UInt8]] = [CheckpointDirectory.stateName, CheckpointDirectory.modelName].map {
    let url = checkpointFolder.appendingPathComponent("000007/\($0)")
    return (try? Data(contentsOf: url)).map { Array($0) } ?? []
  }

  static let checkpoint = FuzzTarget(
    "checkpoint", seeds: checkpointFiles, words: ["\"crc32c\"", "\"bytes\"", "\"step\"", "optimizer.safetensors"]
  ) { bytes in
    let url = checkpointFolder.appendingPathComponent("000007")
    let isState = bytes.first == UInt8(ascii: "{")
    let place = url.appendingPathComponent(isState ? CheckpointDirectory.stateName : CheckpointDirectory.modelName)
    try Data(isState ? resealed(bytes) : bytes).write(to: place)
    defer { try? Data(checkpointFiles[isState ? 0 : 1]).write(to: place) }
    let checkpoint = try CheckpointDirectory.load(url, as: State.self)
    // The tensors have their digests; only the very files that were written are taken.
    precondition(checkpoint.model.tensors["a"]?.count == 2, "a damaged checkpoint was accepted")
  }

  private static let runFile: [UInt8] = {
    let architecture = TrainingConfiguration.Architecture(
      hiddenSize: 8, intermediateSize: 16, layers: 1, heads: 1, keyValueHeads: 1, headDimension: 8, vocabularySize: 256)
    let configuration = TrainingConfiguration(
      preset: "mistral-tiny", architecture: architecture, structure: "csr", density: 0.5, data: ["text"],
      validation: [],
      dataChecksum: "0-0", tokenizer: "bytes", steps: 2, batch: 1, sequence: 8, learningRate: 1e-3, warmupSteps: 1,
      evaluateEvery: 1, evaluationSequences: 1, checkpointEvery: 1)
    let machine = MachineRecord(
      processor: "any", cores: 2, memoryBytes: 1 << 34, operatingSystem: "any", isa: "scalar", device: "cpu",
      threads: 2,
      peakFlopsPerSecond: 1e9, bytesPerSecond: 1e9, denseLibraries: [], energyReadable: false)
    let record = RunRecord(
      argv: ["filigree"], structure: "csr", configuration: configuration, seed: 1, machine: machine,
      versions: ["filigree": "0"], commit: "unknown", parameters: RunRecord.Count(whole: 10, mlp: 5),
      density: RunRecord.Density(whole: 0.5, mlp: 0.25), effectiveWidth: 4, flopsPerStep: 1e9,
      time: "2026-01-01T00:00:00Z")
    return (try? RecordJSON.line(record, for: "seed")) ?? []
  }()

  static let run = FuzzTarget(
    "run.json", seeds: [runFile], words: ["\"configuration\":{", "\"machine\":{", "\"seed\":-1"]
  ) {
    let record = try RecordJSON.decode(RunRecord.self, from: $0, at: "input")
    _ = try? MistralPlan(
      record.configuration.architecture, structure: "dense", density: record.configuration.density, seed: record.seed)
  }

  private static let configurationFile = Array(
    """
    {"architectures":["MistralForCausalLM"],"attention_dropout":0.0,"bos_token_id":1,"eos_token_id":[2,3],"head_dim":8,"hidden_act":"silu",
    "hidden_size":32,"initializer_range":0.02,"intermediate_size":48,"max_position_embeddings":128,"model_type":"mistral",
    "num_attention_heads":4,"num_hidden_layers":2,"num_key_value_heads":2,"rms_norm_eps":1e-06,"rope_parameters":{"rope_theta":10000.0,
    "rope_type":"default"},"sliding_window":null,"tie_word_embeddings":false,"vocab_size":67}
    """.utf8)

  static let configuration = FuzzTarget(
    "config.json", seeds: [configurationFile],
    words: [
      "\"rope_theta\":", "\"rope_scaling\":", "\"sliding_window\":4096", "\"head_dim\":null", "9007199254740993",
      "1e-320",
    ]
  ) {
    let configuration = try MistralConfiguration($0, path: "input")
    // What was understood is written and read as the same.
    let again = try MistralConfiguration(configuration.file(), path: "written")
    precondition(again.architecture == configuration.architecture, "a configuration changed on its way")
  }

  static let index = FuzzTarget(
    "index",
    seeds: [
      Array(
        #"{"metadata":{"total_size":5},"weight_map":{"a.weight":"model-1.safetensors","b":"model-2.safetensors"}}"#.utf8
      )
    ],
    words: ["../", "/", "\\u0000", "\"weight_map\"", ".."]
  ) { _ = try TensorFiles.places($0, path: "input") }

  // MARK: Patterns

  private static let labels = [
    "csr", "fanin", "nm-2:4", "nm-2:4t", "vnm-4:2:8", "bsr-4", "bsr-4x2", "diagonal-4", "banded-8", "blockdiagonal-4",
  ]

  /// The arrays of a pattern as bytes: the label's number, then for each array its length and its numbers.
  private static func bytes(_ number: Int) -> [UInt8]? {
    let shape = Shape(outputs: 16, inputs: 16)
    guard let member = try? Catalog.member(labels[number], of: shape, density: 0.5, seed: 1) else { return nil }
    var bytes = [UInt8(number)]
    for (_, array) in member.pattern.arrays.sorted(by: { $0.key < $1.key }) {
      for word in [Int32(array.count)] + array { bytes += (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
    }
    return bytes
  }

  static let patterns = FuzzTarget("patterns", seeds: labels.indices.compactMap(bytes)) { bytes in
    guard let first = bytes.first else { return }
    let label = labels[Int(first) % labels.count]
    let shape = Shape(outputs: 16, inputs: 16)
    let names = try Catalog.member(label, of: shape, density: 0.5, seed: 1).pattern.arrays.keys.sorted()
    var words: [Int32] = stride(from: 1, to: bytes.count - 3, by: 4).map { place in
      Int32(bitPattern: bytes[place..<place + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
    var pattern = Pattern()
    for name in names where !words.isEmpty {
      let count = min(max(0, Int(words[0])), words.count - 1)
      pattern.arrays[name] = Array(words[1..<1 + count])
      words.removeFirst(1 + count)
    }
    let (type, parameters) = try Catalog.family(of: label)
    let member = try type.init(parameters: parameters, shape: shape, pattern: pattern)
    precondition(member.materialize([Float](repeating: 1, count: member.count)).count == shape.count)
  }
}
