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
    #expect(parts[0] + parts[1] == text && corpus.trainingBytes == parts[0].count)
  }
}
