import Arrays
import Records
import Tokenizers

/// The text of a run in two parts that share no token: one to train on, one to validate on.
///
/// Texts of any size: what does not fit in memory is in files (``ByteStore``), and a step reads its windows only.
/// Refused: a part with fewer than `sequence` + 1 tokens.
package struct Corpus: Sendable {
  /// For people: "generated (seed 1)", or the paths given.
  package let name: String
  package let training: TokenStream
  package let validation: TokenStream
  /// -sum_t p_t ln p_t over the token frequencies of the training text, nats per token.
  package let unigramEntropy: Double
  /// Nats per token where the source is known.
  package let entropyRate: Double?
  /// Of the text; of the tokens as they are stored where they came without a text.
  package let trainingBytes: Int
  package let validationBytes: Int
  /// Whether those are bytes of text, so that nats per token are also nats per byte.
  package let isText: Bool
  /// Whether the tokenizer's end token follows every document.
  package let hasDocumentEnds: Bool
  /// What reading the training files met; nil for a generated text and for files of tokens.
  package let trainingCounts: TextFiles.Counts?
  /// What reading separate validation files met.
  package let validationCounts: TextFiles.Counts?

  /// Held out of a text that came without a validation part: a twentieth, at most so many bytes or tokens.
  package static let largestHoldout = 2_000_000

  /// Bytes of the validation text for each of its tokens; nil without a text.
  package var bytesPerToken: Double? { isText ? Double(validationBytes) / Double(validation.count) : nil }
  /// Nats per byte; nil without a text.
  package var unigramEntropyPerByte: Double? {
    isText ? unigramEntropy * Double(training.count) / Double(trainingBytes) : nil
  }
  package var largestToken: Int32 { max(training.largest, validation.largest) }

  /// What a run's record says: bytes are the default, which files of tokens do not have.
  package func tokenizerName(_ tokenizer: any Tokenizer) -> String {
    isText || !(tokenizer is ByteTokenizer) ? tokenizer.name : TokenStream.unnamedTokenizer
  }

  /// CRC-32C of the training part and of the validation part.
  package var checksum: String { "\(CRC32C.text(training.checksum))-\(CRC32C.text(validation.checksum))" }

  package init(
    name: String, training: [UInt8], validation: [UInt8], sequence: Int, entropyRate: Double? = nil,
    trainingCounts: TextFiles.Counts? = nil, validationCounts: TextFiles.Counts? = nil
  ) throws {
    try self.init(
      name: name, training: TokenStream(training), validation: TokenStream(validation), sequence: sequence,
      bytes: (training.count, validation.count), entropyRate: entropyRate, trainingCounts: trainingCounts,
      validationCounts: validationCounts)
  }

  /// - Parameter bytes: of the texts; nil where the tokens came without one.
  package init(
    name: String, training: TokenStream, validation: TokenStream, sequence: Int,
    bytes: (training: Int, validation: Int)?, entropyRate: Double? = nil, hasDocumentEnds: Bool = false,
    trainingCounts: TextFiles.Counts? = nil, validationCounts: TextFiles.Counts? = nil
  ) throws {
    guard sequence >= 1 else {
      throw Refusal.badInput("a sequence of \(sequence) tokens is too short: it must be at least 1")
    }
    for (part, stream) in [("training", training), ("validation", validation)] where stream.count <= sequence {
      let unit = bytes.map { $0.training == training.count } ?? false ? "bytes" : "tokens"
      throw Refusal.badInput(
        "the \(part) text of \(name) has \(stream.count) \(unit), and a sequence of \(sequence) tokens needs one more "
          + "than that: give more text or a shorter sequence")
    }
    self.name = name
    self.training = training
    self.validation = validation
    self.entropyRate = entropyRate
    self.hasDocumentEnds = hasDocumentEnds
    self.trainingCounts = trainingCounts
    self.validationCounts = validationCounts
    (trainingBytes, validationBytes) = bytes ?? (training.byteCount, validation.byteCount)
    isText = bytes != nil
    unigramEntropy = training.entropy
  }

  /// The built-in text: two streams of one ``GeneratedCorpus``.
  package static func generated(
    seed: UInt64, sequence: Int, trainingBytes: Int = 2_000_000, validationBytes: Int = 100_000,
    tokenizer: any Tokenizer = ByteTokenizer()
  ) throws -> Corpus {
    let source = GeneratedCorpus(seed: seed)
    let texts = [
      source.text(bytes: trainingBytes), source.text(bytes: validationBytes, stream: "validation"),
    ]
    let streams = try texts.map { try TextEncoding.tokens(of: ByteStore($0), 0..<$0.count, by: tokenizer) }
    // An empty text is refused below for its length.
    let bytesPerToken = Double(trainingBytes) / Double(max(1, streams[0].count))
    return try Corpus(
      name: "generated (seed \(seed))", training: streams[0], validation: streams[1], sequence: sequence,
      bytes: (trainingBytes, validationBytes), entropyRate: source.entropyRate * bytesPerToken)
  }

  /// The texts or the files of tokens at `data`; validation is what is at `validation`, or, where none is given, the end
  /// of `data`.
  /// - Parameter tokenizer: of texts; files of tokens are taken as they are.
  package static func files(
    data: [String], validation: [String] = [], sequence: Int, tokenizer: any Tokenizer = ByteTokenizer(),
    options: TextFiles.Options = TextFiles.Options(), progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
  ) throws -> Corpus {
    guard !data.isEmpty else {
      throw Refusal.badInput("no training text was given: name files or directories of text")
    }
    let name = data.joined(separator: ", ")
    try keepApart(data, validation)
    if let shards = try TokenShard.open(data) {
      return try tokens(shards, validation: validation, sequence: sequence, name: name)
    }
    let text = try TextStore(reading: data, options)
    let store = text.store
    var cut = text.store.count
    var held: (store: ByteStore, start: Int) = (store, cut)
    var heldDocuments = text.documents
    var counts: TextFiles.Counts?
    if validation.isEmpty {
      let least = tokenizer is ByteTokenizer ? sequence : min(sequence, 1 << 24) * 8
      cut = try holdoutStart(count: store.count, sequence: least, tokens: sequence, name: name) {
        try store.bytes($0)
      }
      held.start = cut
    } else {
      guard try TokenShard.open(validation) == nil else {
        throw Refusal.badInput("\(name) are texts and \(validation.joined(separator: ", ")) are tokens: give one kind")
      }
      let other = try TextStore(reading: validation, options)
      held = (other.store, 0)
      heldDocuments = other.documents
      counts = other.counts
    }
    let heldRange = held.start..<held.store.count
    let total = cut + heldRange.count
    let training = try TextEncoding.tokens(of: store, 0..<cut, by: tokenizer, documents: text.documents) {
      try progress($0, total)
    }
    let end = try TextEncoding.tokens(of: held.store, heldRange, by: tokenizer, documents: heldDocuments) {
      try progress(cut + $0, total)
    }
    return try Corpus(
      name: name, training: training, validation: end, sequence: sequence, bytes: (cut, heldRange.count),
      hasDocumentEnds: tokenizer.end != nil && text.documents.count > 0, trainingCounts: text.counts,
      validationCounts: counts)
  }

  /// Refuses a file that would be trained on and validated on.
  private static func keepApart(_ data: [String], _ validation: [String]) throws {
    guard !validation.isEmpty else { return }
    let trained = try FileTree.identities(below: data)
    for (identity, path) in try FileTree.identities(below: validation) where trained[identity] != nil {
      throw Refusal.badInput(
        "\(path.quoted) is in --validation and in --data, so that the model would be validated on what it has seen: move it "
          + "out of --data")
    }
  }

  private static func tokens(
    _ shards: [TokenShard], validation: [String], sequence: Int, name: String
  ) throws -> Corpus {
    let count = shards.reduce(0) { $0 + $1.count }
    if !validation.isEmpty {
      guard let held = try TokenShard.open(validation) else {
        throw Refusal.badInput("\(name) are tokens and \(validation.joined(separator: ", ")) are texts: give one kind")
      }
      return try Corpus(
        name: name, training: TokenStream(shards), validation: TokenStream(held), sequence: sequence, bytes: nil)
    }
    guard sequence >= 1, sequence < count / 2 else {
      throw Refusal.badInput(
        "\(name) has \(count) tokens, too few to train on and hold out a sequence of \(sequence) tokens and its target "
          + "each: give more, a shorter sequence, or validation tokens of their own")
    }
    let cut = count - max(sequence + 1, min(count / 20, largestHoldout))
    return try Corpus(
      name: name, training: TokenStream(shards, 0..<cut), validation: TokenStream(shards, cut..<count),
      sequence: sequence, bytes: nil)
  }

  /// Where the part held out begins, at a line's first byte where it can.
  ///
  /// At most h = max(sequence + 1, min(count / 20, `largestHoldout`)) bytes are held out and at least
  /// max(sequence + 1, h / 2): among these the first beginning of a line, else of a character, else the first.
  /// Refused: fewer than 2 (sequence + 1) bytes.
  package static func holdoutStart(_ bytes: [UInt8], sequence: Int, name: String) throws -> Int {
    try holdoutStart(count: bytes.count, sequence: sequence, tokens: sequence, name: name) { Array(bytes[$0]) }
  }

  /// - Parameter sequence: in bytes, of `tokens` tokens.
  private static func holdoutStart(
    count: Int, sequence: Int, tokens: Int, name: String, _ read: (Range<Int>) throws -> [UInt8]
  ) throws -> Int {
    guard sequence >= 1, sequence < count / 2 else {
      throw Refusal.badInput(
        "the text of \(name) has \(count) bytes, too few for sequences of \(tokens) tokens: 2 x (\(sequence) + 1) are "
          + "needed, to train on and to validate on; give more text\(count > sequence ? ", or a --validation text of its own" : "") "
          + "('train' can also be given a shorter --sequence)")
    }
    let most = max(sequence + 1, min(count / 20, largestHoldout))
    let least = max(sequence + 1, most / 2)
    // The byte before each candidate, and the candidates.
    let bytes = try read(count - most - 1..<count - least + 1)
    let candidates = 1..<bytes.count
    let place =
      candidates.first { bytes[$0 - 1] == UInt8(ascii: "\n") } ?? candidates.first { bytes[$0] & 0xc0 != 0x80 } ?? 1
    return count - most - 1 + place
  }
}

/// The text of files as one row of bytes, wherever it fits.
package struct TextStore: Sendable {
  package let store: ByteStore
  package let documents: DocumentEnds
  package let counts: TextFiles.Counts

  package init(reading paths: [String], _ options: TextFiles.Options = TextFiles.Options()) throws {
    var writer = ByteStoreWriter(), ends = DocumentEnds.Writer()
    counts = try TextFiles.read(
      paths, options, documentEnd: { if options.marksDocuments { try ends.append($0) } },
      into: { try writer.append($0) })
    store = try writer.finish()
    documents = try ends.finish()
  }
}
