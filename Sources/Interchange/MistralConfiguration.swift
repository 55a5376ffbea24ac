import Arrays
import Foundation
import Model
import Records

/// Hugging Face's `config.json` of a Mistral, as transformers 4 (`rope_theta`) and 5 (`rope_parameters`) write it.
///
/// What the model computes is decided by the keys read here and by nothing else. A key that is missing, of another type,
/// or says something that is not computed here is refused by its name. Two keys may be absent as transformers itself has
/// it: `head_dim`, which is then hidden_size / num_attention_heads, and those that only switch something on. What was
/// filled in or left unread is told in `remarks`.
package struct MistralConfiguration: Sendable {
  package var architecture: Architecture
  package var beginning: Int?
  package var ends: [Int] = []
  package var positions: Int?
  /// Sentences for the person who gave the file.
  package var remarks: [String] = []

  static let limit = 1 << 22

  package init(_ architecture: Architecture, positions: Int?) {
    self.architecture = architecture
    self.positions = positions
  }

  package init(contentsOf url: URL) throws {
    try self.init(OpenFile(reading: url.path).contents(limit: Self.limit), path: url.path)
  }

  /// - Parameter bytes: of the file; `path` is what sentences call it.
  package init(_ bytes: [UInt8], path: String) throws {
    let reader = try ConfigurationReader(bytes, path: path)
    try reader.requireText("model_type", "mistral")
    let architectures = try reader.value("architectures")
    guard architectures.array?.contains(where: { $0.string == "MistralForCausalLM" }) ?? false else {
      let named = architectures.array.map { list in
        list.isEmpty ? "an empty list" : list.prefix(4).map(\.kind).joined(separator: ", ")
      }
      throw reader.refuse("architectures is \(named ?? architectures.kind), without MistralForCausalLM")
    }
    try reader.requireText("hidden_act", "silu")
    for key in ["attention_bias", "mlp_bias"] { try reader.requireOff(key) }
    for key in ["rope_scaling", "quantization_config", "layer_types"] { try reader.requireNull(key) }
    let hidden = try reader.count("hidden_size"), heads = try reader.count("num_attention_heads")
    var remarks: [String] = []
    let headDimension: Int
    if let given = try reader.optionalCount("head_dim") {
      headDimension = given
    } else {
      guard hidden.isMultiple(of: heads) else {
        throw reader.refuse("head_dim is missing and \(heads) heads do not divide hidden_size \(hidden)")
      }
      headDimension = hidden / heads
      remarks.append(
        "\(path) has no head_dim: it is hidden_size / num_attention_heads = \(headDimension), as transformers takes it")
    }
    let window = try reader.value("sliding_window")
    architecture = Architecture(
      hiddenSize: hidden, intermediateSize: try reader.count("intermediate_size"),
      layers: try reader.count("num_hidden_layers", from: 0), heads: heads,
      keyValueHeads: try reader.count("num_key_value_heads"), headDimension: headDimension,
      vocabularySize: try reader.count("vocab_size"), normEpsilon: try reader.number("rms_norm_eps"),
      ropeTheta: try reader.ropeTheta(), slidingWindow: window.isNull ? nil : try reader.count("sliding_window"),
      tiedEmbeddings: try reader.boolean("tie_word_embeddings"),
      initializerRange: try reader.number("initializer_range"))
    positions = try reader.optionalCount("max_position_embeddings")
    beginning = reader.tokens("bos_token_id").first
    ends = reader.tokens("eos_token_id")
    self.remarks = remarks + reader.unread()
    // What cannot be computed is refused here, by the same rules as for a model that is trained.
    _ = try MistralPlan(architecture, structure: "dense", density: 1, seed: 1)
  }

  /// The file for transformers 4 and 5: theta under both names, since 4 would take the new one's absence for its default.
  package func file() throws -> [UInt8] {
    let a = architecture
    var lines: [(String, String)] = [
      ("architectures", "[\"MistralForCausalLM\"]"), ("attention_dropout", "0.0"),
      ("bos_token_id", beginning.map { "\($0)" } ?? "null"),
      ("eos_token_id", ends.first.map { "\($0)" } ?? "null"), ("head_dim", "\(a.headDimension)"),
      ("hidden_act", "\"silu\""), ("hidden_size", "\(a.hiddenSize)"), ("initializer_range", "\(a.initializerRange)"),
      ("intermediate_size", "\(a.intermediateSize)"),
    ]
    if let positions { lines.append(("max_position_embeddings", "\(positions)")) }
    lines += [
      ("model_type", "\"mistral\""), ("num_attention_heads", "\(a.heads)"), ("num_hidden_layers", "\(a.layers)"),
      ("num_key_value_heads", "\(a.keyValueHeads)"), ("pad_token_id", "null"), ("rms_norm_eps", "\(a.normEpsilon)"),
      ("rope_parameters", "{\"rope_theta\": \(a.ropeTheta), \"rope_type\": \"default\"}"),
      ("rope_theta", "\(a.ropeTheta)"), ("sliding_window", a.slidingWindow.map { "\($0)" } ?? "null"),
      ("tie_word_embeddings", "\(a.tiedEmbeddings)"), ("torch_dtype", "\"float32\""), ("use_cache", "true"),
      ("vocab_size", "\(a.vocabularySize)"),
    ]
    return Array(("{\n" + lines.map { "  \"\($0)\": \($1)" }.joined(separator: ",\n") + "\n}\n").utf8)
  }
}

/// The keys of a `config.json`, each asked for with what it must be.
private final class ConfigurationReader {
  private let file: JSONValue
  private let path: String
  private var asked: Set<String> = []

  /// Keys that decide nothing about what the model computes when it is given tokens.
  private static let silent: Set<String> = [
    "_name_or_path", "attention_dropout", "auto_map", "dtype", "torch_dtype", "transformers_version", "use_cache",
    "pad_token_id", "sep_token_id", "max_position_embeddings", "bos_token_id", "eos_token_id", "output_attentions",
    "output_hidden_states", "return_dict", "_attn_implementation", "max_length", "unk_token_id",
  ]

  init(_ bytes: [UInt8], path: String) throws {
    self.path = path
    file = try JSONValue(parsing: bytes, at: path)
    guard file.members != nil else { throw refuse("it is \(file.kind), not an object") }
  }

  func refuse(_ fault: String) -> Refusal {
    .badInput("\(path) does not describe a model that is known here: \(fault); give the config.json of a Mistral")
  }

  func value(_ key: String) throws -> JSONValue {
    asked.insert(key)
    guard let value = file[key] else { throw refuse("\(key) is missing") }
    return value
  }

  func count(_ key: String, from least: Int = 1) throws -> Int {
    let value = try value(key)
    guard let count = value.integer, (least...1 << 31).contains(count) else {
      throw refuse("\(key) is \(value.kind), not a whole number from \(least) to 2147483648")
    }
    return count
  }

  func optionalCount(_ key: String) throws -> Int? {
    asked.insert(key)
    guard let value = file[key], !value.isNull else { return nil }
    return try count(key)
  }

  func number(_ key: String) throws -> Double {
    let value = try value(key)
    guard let number = value.double, number > 0 else {
      throw refuse("\(key) is \(value.kind), not a number above zero")
    }
    return number
  }

  func boolean(_ key: String) throws -> Bool {
    let value = try value(key)
    guard let boolean = value.boolean else { throw refuse("\(key) is \(value.kind), not true or false") }
    return boolean
  }

  func requireText(_ key: String, _ text: String) throws {
    let value = try value(key)
    guard value.string == text else { throw refuse("\(key) is \(value.kind), not \"\(text)\"") }
  }

  /// Absent, null or false.
  func requireOff(_ key: String) throws {
    asked.insert(key)
    guard let value = file[key], !value.isNull, value.boolean != false else { return }
    throw refuse("\(key) is \(value.kind), which is not computed here")
  }

  func requireNull(_ key: String) throws {
    asked.insert(key)
    guard let value = file[key], !value.isNull else { return }
    throw refuse("\(key) is \(value.kind), which is not computed here")
  }

  /// `rope_parameters.rope_theta`, or `rope_theta`; both must agree where both are there.
  func ropeTheta() throws -> Double {
    asked.insert("rope_parameters")
    guard let parameters = file["rope_parameters"], !parameters.isNull else { return try number("rope_theta") }
    let type = parameters["rope_type"] ?? parameters["type"]
    guard type?.string == "default" else {
      throw refuse("rope_parameters.rope_type is \(type?.kind ?? "missing"), not \"default\"")
    }
    if let partial = parameters["partial_rotary_factor"], partial.double != 1 {
      throw refuse("rope_parameters.partial_rotary_factor is \(partial.kind), which is not computed here")
    }
    guard let theta = parameters["rope_theta"]?.double, theta > 0 else {
      throw refuse(
        "rope_parameters.rope_theta is \(parameters["rope_theta"]?.kind ?? "missing"), not a number above zero")
    }
    asked.insert("rope_theta")
    if let old = file["rope_theta"], old.double != theta {
      throw refuse("rope_theta is \(old.kind) and rope_parameters.rope_theta is \(theta)")
    }
    return theta
  }

  /// A token's number, or a list of them.
  func tokens(_ key: String) -> [Int] {
    guard let value = file[key] else { return [] }
    return (value.array ?? [value]).compactMap(\.integer).filter { $0 >= 0 }
  }

  /// Keys that nobody asked for and that are not known to be without effect.
  func unread() -> [String] {
    let names = (file.members ?? []).map { String(decoding: $0.name, as: UTF8.self) }
      .filter { !asked.contains($0) && !Self.silent.contains($0) }
    return names.isEmpty
      ? [] : ["\(path) has keys that are not known here and were not used: \(names.prefix(20).joined(separator: ", "))"]
  }
}
