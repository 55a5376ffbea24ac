import Arrays

/// What ``PairTrainer`` learned as `tokenizer.json`, which Hugging Face's tokenizers load.
package enum BPEFileWriter {
  package static func file(_ trained: PairTrainer) -> [UInt8] {
    let spellings =
      [PairTrainer.endOfText] + trained.pieces.dropFirst().map { ByteAlphabet.spelling(of: $0) }
    let merges = trained.merges.map { "\(spellings[Int($0.left)]) \(spellings[Int($0.right)])" }
    return file(spellings, merges, added: PairTrainer.endOfText)
  }

  /// Token = byte, for programs that have no tokenizer of bytes.
  package static func bytes() -> [UInt8] {
    file((0..<256).map { ByteAlphabet.spelling(of: [UInt8($0)]) }, [], added: nil)
  }

  private static func file(_ spellings: [String], _ merges: [String], added: String?) -> [UInt8] {
    let flags =
      #""single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true"#
    let token = added.map { "\n    {\"id\": 0, \"content\": \(quoted($0)), \(flags)}\n  " } ?? ""
    var text = """
      {
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [\(token)],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
          "type": "BPE",
          "dropout": null,
          "unk_token": null,
          "continuing_subword_prefix": null,
          "end_of_word_suffix": null,
          "fuse_unk": false,
          "byte_fallback": false,
          "ignore_merges": false,
          "vocab": {

      """
    text += spellings.enumerated().map { "      \(quoted($1)): \($0)" }.joined(separator: ",\n")
    text += "\n    },\n    \"merges\": ["
    text += merges.map { "\n      \(quoted($0))" }.joined(separator: ",")
    text += merges.isEmpty ? "]\n" : "\n    ]\n"
    text += "  }\n}\n"
    return Array(text.utf8)
  }

  /// Spellings hold no control characters.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      if scalar == "\"" || scalar == "\\" { quoted += "\\" }
      quoted.unicodeScalars.append(scalar)
    }
    return quoted + "\""
  }
}
