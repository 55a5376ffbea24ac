import Arrays
import Records

/// The parts of `tokenizer.json` around the model: normaliser, pre-tokenizer, decoder, post-processor.
struct BPEPipelineReader {
  private(set) var normalizer = TextNormalizer()
  private(set) var words = BPETokenizer.Parts.Words.characters(
    prefix: BPETokenizer.Parts.Prefix(isUsed: false), splits: false)
  private(set) var stripsFirstBlank = false
  private let reader: BPEFileReader

  init(_ reader: BPEFileReader) { self.reader = reader }

  mutating func read(normalizer: JSONValue?, preTokenizer: JSONValue?, decoder: JSONValue?) throws {
    try self.normalizer.steps = steps(normalizer)
    try readWords(preTokenizer)
    try readDecoder(decoder)
  }

  private func type(_ value: JSONValue, _ what: String) throws -> String {
    guard let type = value["type"]?.string else { throw reader.refuse("its \(what) has no type") }
    return type
  }

  /// The parts of a `Sequence`, or the value alone; nothing for null.
  private static func parts(
    _ value: JSONValue?, _ key: String, _ what: String, _ reader: BPEFileReader
  ) throws -> [JSONValue] {
    guard let value, !value.isNull else { return [] }
    guard value["type"]?.string == "Sequence" else { return [value] }
    guard let parts = value[key]?.array else { throw reader.refuse("its \(what) is a Sequence without '\(key)'") }
    return try parts.flatMap { try Self.parts($0, key, what, reader) }
  }

  private func flag(_ value: JSONValue, _ key: String, default missing: Bool) -> Bool {
    value[key]?.boolean ?? missing
  }

  // MARK: Normaliser

  /// More would let a small file make a text of any size.
  private static let longestText = 16
  private static let mostSteps = 8

  private func steps(_ value: JSONValue?) throws -> [TextNormalizer.Step] {
    let parts = try Self.parts(value, "normalizers", "normalizer", reader)
    guard parts.count <= Self.mostSteps else {
      throw reader.refuse("its normalizer has more than \(Self.mostSteps) steps")
    }
    return try parts.map { part in
      switch try type(part, "normalizer") {
      case "NFC": return .compose
      case "Prepend":
        guard let text = part["prepend"]?.bytes, text.count <= Self.longestText else {
          throw reader.refuse("its normalizer Prepend has no text of at most \(Self.longestText) bytes")
        }
        return .prepend(text)
      case "Replace":
        guard let old = part["pattern"]?["String"]?.bytes, !old.isEmpty, let new = part["content"]?.bytes,
          max(old.count, new.count) <= Self.longestText
        else {
          throw reader.refuse(
            "its normalizer Replace is not of one text of at most \(Self.longestText) bytes by another")
        }
        return .replace(old, with: new)
      case let type: throw reader.refuse("its normalizer is of the kind '\(type)'")
      }
    }
  }

  // MARK: Pre-tokenizer

  private mutating func readWords(_ value: JSONValue?) throws {
    let parts = try Self.parts(value, "pretokenizers", "pre-tokenizer", reader)
    let types = try parts.map { try type($0, "pre-tokenizer") }
    switch types {
    case []: break
    case ["ByteLevel"]:
      words = .bytes(
        flag(parts[0], "use_regex", default: true) ? .gpt2 : nil,
        prefixed: flag(parts[0], "add_prefix_space", default: true))
    case ["Split", "ByteLevel"]:
      guard !flag(parts[1], "use_regex", default: true), !flag(parts[1], "add_prefix_space", default: true) else {
        throw reader.refuse("its pre-tokenizer ByteLevel cuts or prefixes what Split has cut")
      }
      words = .bytes(try splitter(parts[0]), prefixed: false)
    case ["Metaspace"]: try readMetaspace(parts[0])
    default:
      let known = ["ByteLevel", "Split", "Metaspace"]
      let unknown = types.first { !known.contains($0) }
      throw reader.refuse(
        unknown.map { "its pre-tokenizer is of the kind '\($0)'" }
          ?? "its pre-tokenizers \(types.joined(separator: ", ")) follow each other")
    }
  }

  private func splitter(_ split: JSONValue) throws -> WordSplitter {
    guard split["behavior"]?.string == "Isolated", !flag(split, "invert", default: false) else {
      throw reader.refuse("its pre-tokenizer Split does not keep matches as words")
    }
    let expression = split["pattern"]?["Regex"]?.string
    guard let splitter = WordSplitter.allCases.first(where: { $0.expression == expression }) else {
      throw reader.refuse(
        "its pre-tokenizer cuts by the unknown expression \(split["pattern"]?["Regex"]?.kind ?? "none")")
    }
    return splitter
  }

  private mutating func readMetaspace(_ part: JSONValue) throws {
    guard part["replacement"]?.bytes == TextNormalizer.blank else {
      throw reader.refuse("its pre-tokenizer Metaspace has another replacement than U+2581")
    }
    normalizer.steps.append(.replace([0x20], with: TextNormalizer.blank))
    var prefix = BPETokenizer.Parts.Prefix(isUsed: true, unlessThere: true)
    switch part["prepend_scheme"]?.string {
    case "always": prefix.everywhere = true
    case "first": prefix.everywhere = false
    case "never": prefix.isUsed = false
    case nil:
      prefix.everywhere = true
      prefix.isUsed = flag(part, "add_prefix_space", default: true)
    case let scheme?: throw reader.refuse("its pre-tokenizer Metaspace has the unknown prepend_scheme '\(scheme)'")
    }
    words = .characters(prefix: prefix, splits: flag(part, "split", default: true))
  }

  // MARK: Decoder

  private mutating func readDecoder(_ value: JSONValue?) throws {
    let isOfBytes = if case .bytes = words { true } else { false }
    for part in try Self.parts(value, "decoders", "decoder", reader) {
      switch try type(part, "decoder") {
      case "ByteLevel" where isOfBytes: break
      case "ByteFallback" where !isOfBytes, "Fuse" where !isOfBytes: break
      case "Replace" where !isOfBytes:
        guard part["pattern"]?["String"]?.bytes == TextNormalizer.blank, part["content"]?.bytes == [0x20] else {
          throw reader.refuse("its decoder Replace is not of U+2581 by a blank")
        }
      case "Strip" where !isOfBytes:
        guard part["content"]?.bytes == [0x20], part["start"]?.integer == 1, part["stop"]?.integer == 0 else {
          throw reader.refuse("its decoder Strip does not remove one blank from the front")
        }
        stripsFirstBlank = true
      case "Metaspace" where !isOfBytes:
        stripsFirstBlank = part["prepend_scheme"]?.string ?? "always" != "never"
      case let type: throw reader.refuse("its decoder is of the kind '\(type)'")
      }
    }
  }

  // MARK: Post-processor

  /// The token that a `TemplateProcessing` puts before a single text.
  static func beginning(_ value: JSONValue?, _ reader: BPEFileReader) throws -> Int32? {
    var beginning: Int32?
    for part in try parts(value, "processors", "post-processor", reader) {
      switch part["type"]?.string {
      case "ByteLevel": continue
      case "TemplateProcessing":
        guard let name = part["single"]?.array?.first?["SpecialToken"]?["id"]?.string else { continue }
        guard let id = part["special_tokens"]?[name]?["ids"]?.array?.first?.integer, (0..<1 << 24).contains(id) else {
          throw reader.refuse("its post-processor puts '\(name)' first and does not say which token that is")
        }
        beginning = Int32(id)
      case let type: throw reader.refuse("its post-processor is of the kind '\(type ?? "none")'")
      }
    }
    return beginning
  }
}
