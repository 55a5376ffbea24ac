import Arrays
import Devices
import Foundation
import Testing

@testable import Interchange

/// Nothing is filled in in silence, and what is not known is refused by its name.
@Suite struct StoredModelRefusalTests {
  private func refusal(_ folder: ModelFolder) -> Refusal? {
    #expect(throws: Refusal.self) { try StoredModel(folder.url) }
  }

  @Test(
    "A key that decides what is computed is missed by its name",
    arguments: [
      "architectures", "model_type", "hidden_act", "hidden_size", "intermediate_size", "num_hidden_layers",
      "num_attention_heads", "num_key_value_heads", "vocab_size", "rms_norm_eps", "sliding_window", "rope_parameters",
      "tie_word_embeddings", "initializer_range",
    ])
  func missing(_ key: String) throws {
    let folder = try ModelFolder()
    try folder.copy("sharded-bf16")
    try folder.change("config.json", "\"\(key)\":", to: "\"was_\(key)\":")
    let refusal = refusal(folder)
    // Without the new name of theta, the old one is asked for.
    let word = key == "rope_parameters" ? "rope_theta" : key
    #expect(
      refusal?.kind == .badInput && refusal?.sentence.contains("\(word) is missing") == true,
      "\(refusal?.sentence ?? "")")
  }

  static let changes: [(old: String, new: String, word: String)] = [
    ("MistralForCausalLM", "MixtralForCausalLM", "MistralForCausalLM"), ("\"mistral\"", "\"llama\"", "llama"),
    ("\"silu\"", "\"gelu\"", "gelu"), ("\"default\"", "\"yarn\"", "rope_type"),
    ("\"vocab_size\": 71", "\"vocab_size\": 72", "shape"),
    ("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4", "layers.3"),
    ("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2", "layers.2"),
    ("\"head_dim\": 16", "\"head_dim\": \"16\"", "head_dim"), ("\"head_dim\": 16", "\"head_dim\": 15", "odd"),
    ("\"hidden_size\": 32", "\"hidden_size\": -32", "hidden_size"),
    ("\"hidden_size\": 32", "\"hidden_size\": 1e300", "hidden_size"),
    ("\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": 0", "rms_norm_eps"),
    ("\"use_cache\": true", "\"rope_scaling\": {\"factor\": 2.0}", "rope_scaling"),
    ("\"use_cache\": true", "\"quantization_config\": {\"bits\": 4}", "quantization_config"),
    ("\"use_cache\": true", "\"attention_bias\": true", "attention_bias"),
    ("\"use_cache\": true", "\"rope_theta\": 10000.0", "rope_theta"),
    ("\"use_cache\": true", "\"hidden_size\": 32", "twice"),
  ]

  @Test("What is not computed here is refused by name", arguments: 0..<changes.count)
  func changed(_ index: Int) throws {
    let change = Self.changes[index]
    let folder = try ModelFolder()
    try folder.copy("sharded-bf16")
    try folder.change("config.json", change.old, to: change.new)
    let refusal = refusal(folder)
    #expect(refusal?.kind == .badInput && refusal?.sentence.contains(change.word) == true, "\(refusal?.sentence ?? "")")
  }

  @Test("A key that nobody knows is told, not used")
  func unknownKey() throws {
    let folder = try ModelFolder()
    try folder.copy("sharded-bf16")
    try folder.change("config.json", "\"use_cache\": true", to: "\"logit_scale\": 3")
    #expect(try StoredModel(folder.url).remarks.contains { $0.contains("logit_scale") })
  }

  static let indexChanges: [(old: String, new: String, word: String)] = [
    ("model-00001-of-00006.safetensors", "../sharded/model.safetensors", "no file's name"),
    ("model-00001-of-00006.safetensors", "absent.safetensors", "absent.safetensors"),
    ("model-00001-of-00006.safetensors", "model-00002-of-00006.safetensors", "has not"),
    ("\"weight_map\"", "\"weights\"", "weight_map"), ("\"lm_head.weight\"", "\"lm_head.bias\"", "lm_head.bias"),
  ]

  @Test("An index that lies is refused", arguments: 0..<indexChanges.count)
  func index(_ index: Int) throws {
    let change = Self.indexChanges[index]
    let folder = try ModelFolder()
    try folder.copy("sharded-bf16")
    try folder.change("model.safetensors.index.json", change.old, to: change.new)
    let refusal = refusal(folder)
    #expect(refusal?.kind == .badInput && refusal?.sentence.contains(change.word) == true, "\(refusal?.sentence ?? "")")
  }

  @Test("A folder that is no model's, and one without weights, are refused")
  func folders() throws {
    let folder = try ModelFolder()
    #expect(refusal(folder)?.sentence.contains("config.json") == true)
    try folder.copy("old-fp16")
    try FileManager.default.removeItem(at: folder["model.safetensors"])
    #expect(refusal(folder)?.sentence.contains("model.safetensors") == true)
  }

  @Test("Damaged patterns and labels of a compressed model are refused", arguments: ["csr", "bsr-8", "nm-2:4"])
  func patterns(_ label: String) throws {
    let folder = try ModelFolder()
    let device = try CPUDevice(threads: 1)
    _ = try folder.writeModel(label, density: 0.5, on: device)
    let whole = try Data(contentsOf: folder["model.safetensors"])
    _ = try StoredModel(folder.url)
    for other in ["bsr-4", "monarch-4", "toeplitz", ""] {
      let text = String(decoding: whole, as: UTF8.self)
      guard let range = whole.range(of: Data("\"\(label)\"".utf8)), text.isEmpty == false else {
        Issue.record("the label is not in the file")
        return
      }
      // A label of another length moves the data: pad or cut the spaces at the header's end.
      var header = whole[8..<8 + Int(whole[0]) + Int(whole[1]) << 8]
      header.replaceSubrange(range, with: Data("\"\(other)\"".utf8))
      var file = Data()
      let padding = (8 - header.count % 8) % 8
      let length = UInt64(header.count + padding)
      withUnsafeBytes(of: length.littleEndian) { file.append(contentsOf: $0) }
      file += header + Data(repeating: 0x20, count: padding) + whole[(8 + Int(whole[0]) + Int(whole[1]) << 8)...]
      try file.write(to: folder["model.safetensors"])
      #expect(refusal(folder)?.kind == .badInput)
    }
  }
}
