import Arrays
import Records

/// Reads `tokenizer.json` of the BPE kind; whatever would change an encoding and is not known here is refused by name.
struct BPEFileReader {
  let path: String

  func refuse(_ fault: String) -> Refusal {
    .badInput("\(path) cannot be used as a tokenizer: \(fault); give a tokenizer.json of the BPE kind")
  }

  func read(_ bytes: [UInt8]) throws -> BPETokenizer {
    let file = try JSONValue(parsing: bytes, at: path)
    for key in ["truncation", "padding"] where !(file[key]?.isNull ?? true) {
      throw refuse("'\(key)' is not null, and texts are neither cut nor filled here")
    }
    let model = try Model(file["model"], self)
    var pipeline = BPEPipelineReader(self)
    try pipeline.read(normalizer: file["normalizer"], preTokenizer: file["pre_tokenizer"], decoder: file["decoder"])
    var parts = BPETokenizer.Parts(pieces: [], table: MergeTable(capacity: 1), words: pipeline.words)
    parts.normalizer = pipeline.normalizer
    parts.stripsFirstBlank = pipeline.stripsFirstBlank
    let added = try addedTokens(file["added_tokens"], pipeline.normalizer)
    try fill(&parts, model, added.all)
    parts.added = AddedTokens(added.raw)
    parts.addedNormalized = AddedTokens(added.normalized)
    let count = parts.pieces.count
    let beginning = try BPEPipelineReader.beginning(file["post_processor"], self)
    guard beginning.map({ (0..<count).contains(Int($0)) }) ?? true else {
      throw refuse("its post-processor puts a token first that does not exist")
    }
    let ends = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<|im_end|>"].map { Array($0.utf8) }
    let end = ends.lazy.compactMap { text in added.all.first { $0.content == text }?.id }.first
    return BPETokenizer(
      parts, kind: "bpe", checksum: TokenizerFile.checksum(bytes), beginning: beginning, end: end)
  }

  // MARK: Added tokens

  private struct Added {
    var all: [AddedTokens.Token] = []
    var raw: [AddedTokens.Token] = []
    var normalized: [AddedTokens.Token] = []
  }

  private func addedTokens(_ value: JSONValue?, _ normalizer: TextNormalizer) throws -> Added {
    var added = Added()
    guard let value, !value.isNull else { return added }
    guard let list = value.array else { throw refuse("'added_tokens' is \(value.kind), not a list") }
    for entry in list {
      guard let content = entry["content"]?.bytes, !content.isEmpty, let id = entry["id"]?.integer,
        (0..<1 << 24).contains(id)
      else { throw refuse("an entry of 'added_tokens' lacks its content or its id") }
      for flag in ["single_word", "lstrip", "rstrip"] where entry[flag]?.boolean ?? false {
        throw refuse("the added token \(entry["content"]!.kind) has '\(flag)', which is not known here")
      }
      let token = AddedTokens.Token(content: content, id: Int32(id))
      added.all.append(token)
      if entry["normalized"]?.boolean ?? false {
        added.normalized.append(
          AddedTokens.Token(content: normalizer.normalize(content[...], continuing: false), id: token.id))
      } else {
        added.raw.append(token)
      }
    }
    return added
  }

  // MARK: Model

  /// `model` with its types checked.
  private struct Model {
    let vocabulary: [[UInt8]: Int32]
    let merges: [JSONValue]
    let unknown: [UInt8]?
    let fusesUnknown: Bool
    let byteFallback: Bool
    let ignoresMerges: Bool

    init(_ value: JSONValue?, _ reader: BPEFileReader) throws {
      guard let value, value.members != nil else { throw reader.refuse("it has no 'model'") }
      let type = value["type"]?.string
      guard type == "BPE" || type == nil && value["merges"] != nil else {
        throw reader.refuse("its model is of the kind \(value["type"]?.kind ?? "that has no name")")
      }
      for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
        guard value[key]?.isNull ?? true || value[key]?.bytes == [] else {
          throw reader.refuse("'model.\(key)' is \(value[key]!.kind), which is not known here")
        }
      }
      if let dropout = value["dropout"], !dropout.isNull, dropout.double != 0 {
        throw reader.refuse("'model.dropout' is \(dropout.kind), which makes encodings random")
      }
      guard let entries = value["vocab"]?.members else { throw reader.refuse("'model.vocab' is not an object") }
      guard let merges = value["merges"]?.array else { throw reader.refuse("'model.merges' is not a list") }
      self.merges = merges
      var vocabulary = [[UInt8]: Int32](minimumCapacity: entries.count)
      for entry in entries {
        guard let id = entry.value.integer, (0..<1 << 24).contains(id) else {
          throw reader.refuse("the number of a token in 'model.vocab' is \(entry.value.kind)")
        }
        vocabulary[entry.name] = Int32(id)
      }
      self.vocabulary = vocabulary
      unknown = value["unk_token"]?.bytes
      func flag(_ key: String) throws -> Bool {
        guard let flag = value[key], !flag.isNull else { return false }
        guard let flag = flag.boolean else { throw reader.refuse("'model.\(key)' is \(flag.kind)") }
        return flag
      }
      fusesUnknown = try flag("fuse_unk")
      byteFallback = try flag("byte_fallback")
      ignoresMerges = try flag("ignore_merges")
    }
  }

  private func fill(_ parts: inout BPETokenizer.Parts, _ model: Model, _ added: [AddedTokens.Token]) throws {
    let isOfBytes = if case .bytes = parts.words { true } else { false }
    let last = max(model.vocabulary.values.max() ?? 0, added.map(\.id).max() ?? 0)
    guard last < 2 * (model.vocabulary.count + added.count) + 1024 else {
      throw refuse("its token numbers go up to \(last), with \(model.vocabulary.count + added.count) tokens")
    }
    parts.pieces = [[UInt8]](repeating: [], count: Int(last) + 1)
    var isTaken = [Bool](repeating: false, count: Int(last) + 1)
    for (spelling, id) in model.vocabulary {
      guard !isTaken[Int(id)] else { throw refuse("two tokens have the number \(id)") }
      isTaken[Int(id)] = true
      parts.pieces[Int(id)] = isOfBytes ? ByteAlphabet.bytes(of: spelling) ?? spelling : spelling
    }
    if isOfBytes {
      parts.byteSymbols = try (0..<256).map { byte in
        guard let id = model.vocabulary[Array(ByteAlphabet.spelling(of: [UInt8(byte)]).utf8)] else {
          throw refuse("the byte \(byte) has no token, so that some texts would lose bytes")
        }
        return id
      }
      if model.ignoresMerges {
        for (spelling, id) in model.vocabulary {
          if let bytes = ByteAlphabet.bytes(of: spelling) { parts.wholeWords[bytes] = id }
        }
      }
    } else {
      try fillCharacters(&parts, model)
    }
    parts.table = try merges(model)
    for token in added { parts.pieces[Int(token.id)] = token.content }
  }

  private func fillCharacters(_ parts: inout BPETokenizer.Parts, _ model: Model) throws {
    parts.unknown = model.unknown.flatMap { model.vocabulary[$0] }
    parts.fusesUnknown = model.fusesUnknown
    if model.byteFallback {
      parts.fallback = try (0..<256).map { byte in
        guard let id = model.vocabulary[SentencePieceReader.spelling(ofByte: UInt8(byte))] else {
          throw refuse("byte_fallback is set, and the byte \(byte) has no token")
        }
        return id
      }
    } else if parts.unknown == nil {
      throw refuse("it has neither byte_fallback nor an unk_token, so that some texts would lose characters")
    }
    if model.ignoresMerges { parts.wholeWords = model.vocabulary }
    let fallback = Set(parts.fallback)
    for (spelling, id) in model.vocabulary where !fallback.contains(id) {
      let scalars = String(decoding: spelling, as: UTF8.self).unicodeScalars
      if scalars.count == 1 { parts.characterSymbols[scalars.first!.value] = id }
      parts.joinsWords = parts.joinsWords || BPETokenizer.joinsWords(spelling)
      parts.pieces[Int(id)] = BPETokenizer.unblanked(spelling)
    }
    for (byte, id) in parts.fallback.enumerated() { parts.pieces[Int(id)] = [UInt8(byte)] }
    if parts.characterSymbols[0x2581] == nil { parts.joinsWords = true }
  }

  private func merges(_ model: Model) throws -> MergeTable {
    var table = MergeTable(capacity: model.merges.count)
    for (rank, value) in model.merges.enumerated() {
      let (left, right) = try halves(value, rank)
      guard let a = model.vocabulary[left], let b = model.vocabulary[right], let whole = model.vocabulary[left + right]
      else { throw refuse("merge \(rank) is of or makes a piece that is not in its vocabulary") }
      guard table.insert(a, b, rank: Int32(rank), symbol: whole) else { throw refuse("merge \(rank) is given twice") }
    }
    return table
  }

  /// "left right", or ["left", "right"].
  private func halves(_ value: JSONValue, _ rank: Int) throws -> ([UInt8], [UInt8]) {
    if let pair = value.array, pair.count == 2, let left = pair[0].bytes, let right = pair[1].bytes {
      return (left, right)
    }
    if let text = value.bytes {
      let halves = text.split(separator: 0x20, omittingEmptySubsequences: false)
      if halves.count == 2 { return (Array(halves[0]), Array(halves[1])) }
    }
    throw refuse("merge \(rank) is \(value.kind), not two pieces")
  }
}

extension BPETokenizer {
  /// Whether the piece has a U+2581 after another character.
  static func joinsWords(_ piece: [UInt8]) -> Bool {
    var sawOther = false
    for scalar in String(decoding: piece, as: UTF8.self).unicodeScalars {
      if scalar.value == 0x2581, sawOther { return true }
      sawOther = sawOther || scalar.value != 0x2581
    }
    return false
  }

  /// The text that a piece stands for: blanks for U+2581.
  static func unblanked(_ piece: [UInt8]) -> [UInt8] {
    var result = String.UnicodeScalarView()
    for scalar in String(decoding: piece, as: UTF8.self).unicodeScalars {
      result.append(scalar.value == 0x2581 ? " " : scalar)
    }
    return Array(String(result).utf8)
  }
}
