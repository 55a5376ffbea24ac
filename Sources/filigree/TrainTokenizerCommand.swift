import ArgumentParser
import Arrays
import Foundation
import Records
import Tokenizers
import Training

struct TrainTokenizerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Learns a byte-level BPE from text and writes it as tokenizer.json.",
    discussion: "Example: filigree tokenize train --vocabulary 32000 --data novels/ --out tokenizer.json")

  @OptionGroup var global: GlobalOptions
  @Option(help: "Tokens to have at the end: <|endoftext|>, the 256 bytes, and what is learned.") var vocabulary = 32000
  @Option(parsing: .upToNextOption, help: "Text files, directories, globs, JSON lines, gzip, zstd.") var data:
    [String] = []
  @Option(help: "The file to write.") var out: String?
  @OptionGroup var reading: DataOptions

  private struct Result: Encodable {
    let out: String
    let tokenizer: String
    let vocabulary: Int
    let merges: Int
    let bytes: Int
    let words: Int
  }

  func run() throws {
    guard !data.isEmpty else { throw Refusal.badInput("--data is missing; name the text to learn from") }
    guard let out else { throw Refusal.badInput("--out is missing; name the file to write") }
    let url = try PathOption.url(out, "--out")
    _ = try PairTrainer(WordCounts(), vocabulary: vocabulary)
    Interruption.listen()
    var parts = WordParts()
    let counts = try TextFiles.read(data, reading.reading) {
      try Interruption.check()
      parts.add($0)
    }
    parts.finish()
    for remark in DataOptions.remarks(counts) { global.remark(remark) }
    var trainer = try PairTrainer(parts.counts, vocabulary: vocabulary)
    let progress = ProgressLine("learn", total: vocabulary, quiet: global.quiet, patience: 1)
    try trainer.train { done in
      if done.isMultiple(of: 256) {
        try Interruption.check()
        progress.show(done, "pieces")
      }
    }
    progress.end()
    let bytes = BPEFileWriter.file(trainer)
    let tokenizer = try TokenizerFile(bytes, path: out).tokenizer
    try AtomicFile.write(bytes, to: url)
    if trainer.pieces.count < vocabulary {
      global.remark(
        "no pair of pieces occurs twice any more: the vocabulary has \(trainer.pieces.count) tokens, not \(vocabulary)")
    }
    let result = Result(
      out: out, tokenizer: tokenizer.name, vocabulary: trainer.pieces.count, merges: trainer.merges.count,
      bytes: parts.bytes, words: parts.counts.count)
    if global.json { return Output.write(try RecordJSON.line(result, for: "standard output") + [10]) }
    Output.line(
      "\(out): \(tokenizer.name), \(trainer.merges.count) merges from \(parts.bytes) bytes, \(parts.counts.count) different words"
    )
  }
}
