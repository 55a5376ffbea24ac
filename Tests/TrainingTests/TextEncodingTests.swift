import Arrays
import Foundation
import Testing

@testable import Tokenizers
@testable import Training

@Suite("Text encoding")
struct TextEncodingTests {
  private func tokenizer(_ text: [UInt8]) throws -> any Tokenizer {
    var counts = WordCounts()
    counts.add(text)
    var trainer = try PairTrainer(counts, vocabulary: 300)
    trainer.train { _ in }
    return try TokenizerFile(BPEFileWriter.file(trainer), path: "trained").tokenizer
  }

  @Test("a text of many parts has the tokens of the text in one, in bounded pieces")
  func parts() throws {
    let text = GeneratedCorpus(seed: 3).text(bytes: 9_000_000)
    let tokenizer = try tokenizer(Array(text[..<20_000]))
    let stream = try TextEncoding.tokens(of: ByteStore(text), 0..<text.count, by: tokenizer)
    #expect(try stream.tokens(0..<stream.count) == tokenizer.encode(text))
  }

  @Test("a corpus of subword tokens tells its entropy per token and per byte")
  func corpus() throws {
    let bytes = try Corpus.generated(seed: 1, sequence: 16, trainingBytes: 50_000, validationBytes: 9_000)
    let tokenizer = try tokenizer(GeneratedCorpus(seed: 1).text(bytes: 50_000))
    let words = try Corpus.generated(
      seed: 1, sequence: 16, trainingBytes: 50_000, validationBytes: 9_000, tokenizer: tokenizer)
    #expect(words.training.count < bytes.training.count && words.trainingBytes == 50_000)
    let ratio = 50_000 / Double(words.training.count)
    #expect(abs(try #require(words.entropyRate) / ratio - (try #require(bytes.entropyRate))) < 1e-12)
    #expect(abs(try #require(words.unigramEntropyPerByte) * ratio - words.unigramEntropy) < 1e-12)
    // Pairs of letters say more than letters do: fewer nats for every byte.
    #expect(try #require(words.unigramEntropyPerByte) < (try #require(bytes.unigramEntropyPerByte)))
    #expect(bytes.unigramEntropyPerByte == bytes.unigramEntropy && bytes.bytesPerToken == 1)
    #expect(words.checksum != bytes.checksum)
  }

  @Test("what is held out of a text with subword tokens shares no byte with what is trained on")
  func holdout() throws {
    let folder = try TemporaryFolder()
    let text = GeneratedCorpus(seed: 2).text(bytes: 60_000)
    let path = try folder.write("text", text)
    let tokenizer = try tokenizer(text)
    let corpus = try Corpus.files(data: [path], sequence: 32, tokenizer: tokenizer)
    let parts = try [corpus.training, corpus.validation].map { try tokenizer.decode($0.tokens(0..<$0.count)) }
    // The text is one document, which the validation part ends.
    let end = try tokenizer.decode([try #require(tokenizer.end)])
    #expect(parts[0] + parts[1] == text + end && corpus.trainingBytes == parts[0].count)
  }

  @Test("Every file and every line of JSON lines is a text of its own, with the end token behind it")
  func documents() throws {
    let folder = try TemporaryFolder()
    let text = GeneratedCorpus(seed: 4).text(bytes: 40_000)
    let tokenizer = try tokenizer(text)
    // Some long enough to be read in pieces; one without a last newline, which is put between.
    let texts = ["one\n", String(decoding: text, as: UTF8.self) + "\n", "three", "four\n", "five\n"]
    let paths = try texts[..<3].enumerated().map { try folder.write("text\($0)", $1) }
    let lines = try folder.write("lines.jsonl", "{\"text\": \"four\"}\n\n{\"text\": \"\"}\n{\"text\": \"five\\n\"}\n")
    let store = try TextStore(reading: paths + [lines])
    #expect(store.documents.count == 5)
    let end = try #require(tokenizer.end)
    let expected = texts.flatMap { text in
      tokenizer.encode(Array(text.utf8) + (text.hasSuffix("\n") ? [] : [0x0a])) + [end]
    }
    func tokens(_ range: Range<Int>, _ documents: DocumentEnds) throws -> [Int32] {
      let stream = try TextEncoding.tokens(of: store.store, range, by: tokenizer, documents: documents)
      return try stream.tokens(0..<stream.count)
    }
    let whole = 0..<store.store.count
    #expect(try tokens(whole, store.documents) == expected)
    // A part that begins where a document does has the rest; one that ends inside a document has no end token for it.
    #expect(try tokens(4..<whole.upperBound, store.documents) == Array(expected.drop { $0 != end }.dropFirst()))
    #expect(try tokens(0..<4 + 100, store.documents).count { $0 == end } == 1)
    #expect(try tokens(whole, .none).count { $0 == end } == 0)
    var options = TextFiles.Options()
    options.marksDocuments = false
    #expect(try TextStore(reading: paths, options).documents.count == 0)
  }

  @Test("More ends of documents than are read at once come back in order")
  func manyEnds() throws {
    var writer = DocumentEnds.Writer()
    for end in 1...10_000 { try writer.append(3 * end) }
    var cursor = DocumentEnds.Cursor(try writer.finish()), read: [Int] = []
    while let end = try cursor.next() { read.append(end) }
    #expect(read == (1...10_000).map { 3 * $0 })
  }
}
