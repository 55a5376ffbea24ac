import Arrays
import Records

/// Reads a SentencePiece model (Kudo and Richardson 2018, arXiv 1808.06226), BPE or unigram, without the library: the
/// file is a protocol buffer of pieces with scores, and what the library does with it is written down in these files.
///
///     ModelProto      1 pieces, 2 trainer, 3 normaliser, 5 denormaliser
///     SentencePiece   1 piece, 2 score, 3 type (1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte)
///     TrainerSpec     3 kind (1 unigram, 2 BPE), 24 blanks as suffixes, 35 byte fallback, 44 surface of the unknown,
///                     46 beginning, 47 end
///     NormalizerSpec  2 table, 3 dummy prefix, 4 removing blanks, 5 escaping blanks
struct SentencePieceReader {
  let path: String

  struct Piece {
    enum Kind: UInt64 { case normal = 1, unknown, control, userDefined, unused, byte }

    var text: [UInt8] = []
    var score: Float = 0
    var kind = Kind.normal
  }

  /// The file's contents, defaults filled in as the format's definition has them.
  struct Model {
    var pieces: [Piece] = []
    var kind: UInt64 = 1
    var blanksAsSuffixes = false
    var byteFallback = false
    var unknownSurface = Array(" \u{2047} ".utf8)
    var beginning = Array("<s>".utf8)
    var end = Array("</s>".utf8)
    var table: ArraySlice<UInt8> = []
    var dummyPrefix = true
    var removesBlanks = true
    var escapesBlanks = true
    var denormalizes = false
  }

  static let mostPieces = 1 << 21
  static let longestPiece = 512
  static let mostBytes = 1 << 24

  private func refuse(_ fault: String) -> Refusal {
    .badInput(
      "\(path) cannot be used as a tokenizer: \(fault); give a tokenizer.json of the BPE kind or a SentencePiece model")
  }

  func read(_ bytes: [UInt8]) throws -> any Tokenizer {
    let model: Model
    do {
      model = try Self.model(bytes)
    } catch let fault as ProtocolBuffer.Fault {
      throw refuse("it is neither JSON nor a SentencePiece model (\(fault.reason))")
    }
    try check(model)
    let checksum = TokenizerFile.checksum(bytes)
    return model.kind == 2 ? try bpe(model, checksum) : try unigram(model, checksum)
  }

  private func check(_ model: Model) throws {
    guard model.pieces.contains(where: { $0.kind == .normal }) else {
      throw refuse("it is neither JSON nor a SentencePiece model with pieces")
    }
    guard model.kind == 1 || model.kind == 2 else {
      throw refuse("its pieces are words or characters, not BPE or unigram")
    }
    if model.blanksAsSuffixes { throw refuse("it treats blanks as suffixes, which is not known here") }
    if !model.escapesBlanks { throw refuse("it does not escape blanks, which is not known here") }
    if model.denormalizes { throw refuse("it changes decoded texts by a table, which is not known here") }
    if model.pieces.contains(where: { $0.kind == .unused }) {
      throw refuse("it has unused pieces, which are not known here")
    }
    if let long = model.pieces.first(where: { $0.text.count > Self.longestPiece }) {
      throw refuse("a piece of it has \(long.text.count) bytes, more than \(Self.longestPiece)")
    }
    guard model.pieces.reduce(0, { $0 + $1.text.count }) <= Self.mostBytes else {
      throw refuse("its pieces have more than \(Self.mostBytes) bytes together")
    }
    for piece in model.pieces where String(validating: piece.text, as: UTF8.self) == nil || piece.text.isEmpty {
      throw refuse("a piece of it is empty or not UTF-8")
    }
  }

  // MARK: The message

  static func model(_ bytes: [UInt8]) throws -> Model {
    var model = Model()
    var message = ProtocolBuffer(bytes[...])
    while let (field, value) = try message.next() {
      switch field {
      case 1:
        guard model.pieces.count < mostPieces else { throw ProtocolBuffer.Fault(reason: "it has too many pieces") }
        model.pieces.append(try piece(try value.bytes))
      case 2: try readTrainer(try value.bytes, &model)
      case 3: try readNormalizer(try value.bytes, &model)
      case 5:
        var spec = ProtocolBuffer(try value.bytes)
        while let (field, value) = try spec.next() {
          if field != 2 { continue }
          model.denormalizes = try model.denormalizes || !value.bytes.isEmpty
        }
      default: break
      }
    }
    return model
  }

  private static func piece(_ bytes: ArraySlice<UInt8>) throws -> Piece {
    var piece = Piece()
    var message = ProtocolBuffer(bytes)
    while let (field, value) = try message.next() {
      switch field {
      case 1: piece.text = Array(try value.bytes)
      case 2: piece.score = try value.float
      case 3:
        guard let kind = Piece.Kind(rawValue: try value.number) else {
          throw ProtocolBuffer.Fault(reason: "a piece has an unknown type")
        }
        piece.kind = kind
      default: break
      }
    }
    return piece
  }

  private static func readTrainer(_ bytes: ArraySlice<UInt8>, _ model: inout Model) throws {
    var message = ProtocolBuffer(bytes)
    while let (field, value) = try message.next() {
      switch field {
      case 3: model.kind = try value.number
      case 24: model.blanksAsSuffixes = try value.boolean
      case 35: model.byteFallback = try value.boolean
      case 44: model.unknownSurface = Array(try value.bytes)
      case 46: model.beginning = Array(try value.bytes)
      case 47: model.end = Array(try value.bytes)
      default: break
      }
    }
  }

  private static func readNormalizer(_ bytes: ArraySlice<UInt8>, _ model: inout Model) throws {
    var message = ProtocolBuffer(bytes)
    while let (field, value) = try message.next() {
      switch field {
      case 2: model.table = try value.bytes
      case 3: model.dummyPrefix = try value.boolean
      case 4: model.removesBlanks = try value.boolean
      case 5: model.escapesBlanks = try value.boolean
      default: break
      }
    }
  }

  // MARK: Parts that both kinds share

  /// "<0x0A>": how a piece that stands for a byte is spelled.
  static func spelling(ofByte byte: UInt8) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    return Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)], UInt8(ascii: ">")]
  }

  private func common(_ model: Model) throws -> BPETokenizer.Parts {
    var parts = BPETokenizer.Parts(
      pieces: [], table: MergeTable(capacity: 1),
      words: .characters(prefix: BPETokenizer.Parts.Prefix(isUsed: model.dummyPrefix), splits: false))
    let kept = AddedTokens(
      model.pieces.enumerated().filter { $0.element.kind == .userDefined }
        .map { AddedTokens.Token(content: $0.element.text, id: Int32($0.offset)) })
    if !model.table.isEmpty {
      guard let map = CharacterMap(model.table) else { throw refuse("its table of normalisations is damaged") }
      parts.normalizer.steps.append(.map(map, keeping: kept))
    }
    if model.removesBlanks { parts.normalizer.steps.append(.collapse) }
    parts.normalizer.steps.append(.replace([0x20], with: TextNormalizer.blank))
    parts.addedNormalized = kept
    parts.fusesUnknown = true
    parts.stripsFirstBlank = model.dummyPrefix
    parts.stripsLeadingBlanks = model.removesBlanks
    let bytes = Dictionary(
      uniqueKeysWithValues: (0..<256).map { (Self.spelling(ofByte: UInt8($0)), UInt8($0)) })
    var fallback = [Int32?](repeating: nil, count: 256)
    for (id, piece) in model.pieces.enumerated() {
      switch piece.kind {
      case .control: parts.pieces.append([])
      case .unknown:
        parts.unknown = parts.unknown ?? Int32(id)
        parts.pieces.append(model.unknownSurface)
      case .byte:
        guard let byte = bytes[piece.text] else {
          throw refuse("a piece that stands for a byte does not say for which")
        }
        fallback[Int(byte)] = Int32(id)
        parts.pieces.append([byte])
      case .normal, .userDefined, .unused:
        parts.joinsWords = parts.joinsWords || BPETokenizer.joinsWords(piece.text)
        parts.pieces.append(BPETokenizer.unblanked(piece.text))
      }
    }
    if model.byteFallback {
      parts.fallback = fallback.compactMap { $0 }
      guard parts.fallback.count == 256 else {
        throw refuse("it falls back to bytes and lacks pieces for some of them")
      }
    }
    guard model.byteFallback || parts.unknown != nil else { throw refuse("it has no piece for unknown characters") }
    return parts
  }

  private func control(_ text: [UInt8], _ model: Model) -> Int32? {
    model.pieces.firstIndex { $0.kind == .control && $0.text == text }.map(Int32.init)
  }

  // MARK: BPE

  /// The library merges the two neighbours whose joint text is the piece of the best score, the leftmost first. Here every
  /// piece is entered under each of its halves that can occur: a piece or a single character.
  private func bpe(_ model: Model, _ checksum: UInt32) throws -> BPETokenizer {
    var parts = try common(model)
    let normal = model.pieces.enumerated().filter { $0.element.kind == .normal }
    var symbols = [[UInt8]: Int32](minimumCapacity: normal.count)
    for (id, piece) in normal where symbols.updateValue(Int32(id), forKey: piece.text) != nil {
      throw refuse("it has the piece \(String(decoding: piece.text, as: UTF8.self).debugDescription) twice")
    }
    var pairs = 0
    for (id, piece) in normal {
      let scalars = Array(String(decoding: piece.text, as: UTF8.self).unicodeScalars)
      pairs += scalars.count - 1
      if scalars.count == 1 { parts.characterSymbols[scalars[0].value] = Int32(id) }
    }
    for (_, piece) in normal {
      for scalar in String(decoding: piece.text, as: UTF8.self).unicodeScalars
      where parts.characterSymbols[scalar.value] == nil {
        let symbol = Int32(model.pieces.count + parts.innerCharacters.count)
        parts.characterSymbols[scalar.value] = symbol
        symbols[Array(String(Character(scalar)).utf8)] = symbol
        parts.innerCharacters.append(scalar.value)
      }
    }
    if parts.characterSymbols[0x2581] == nil { parts.joinsWords = true }
    let scores = Set(normal.map(\.element.score)).sorted(by: >)
    let ranks = Dictionary(uniqueKeysWithValues: scores.enumerated().map { ($1, Int32($0)) })
    parts.table = MergeTable(capacity: pairs)
    for (id, piece) in normal {
      for place in piece.text.indices.dropFirst() where piece.text[place] & 0xc0 != 0x80 {
        guard let left = symbols[Array(piece.text[..<place])], let right = symbols[Array(piece.text[place...])] else {
          continue
        }
        parts.table.insert(left, right, rank: ranks[piece.score]!, symbol: Int32(id))
      }
    }
    return BPETokenizer(
      parts, kind: "sentencepiece-bpe", checksum: checksum, beginning: control(model.beginning, model),
      end: control(model.end, model))
  }

  // MARK: Unigram

  private func unigram(_ model: Model, _ checksum: UInt32) throws -> UnigramTokenizer {
    let parts = try common(model)
    var scores: [(piece: [UInt8], id: Int32, score: Float, isUserDefined: Bool)] = []
    for (id, piece) in model.pieces.enumerated() where piece.kind == .normal || piece.kind == .userDefined {
      scores.append((piece.text, Int32(id), piece.score, piece.kind == .userDefined))
    }
    return UnigramTokenizer(
      parts, scores, checksum: checksum, beginning: control(model.beginning, model), end: control(model.end, model))
  }
}
