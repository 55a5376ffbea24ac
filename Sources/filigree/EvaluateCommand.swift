import ArgumentParser
import Arrays
import Foundation
import Interchange
import Records
import Tokenizers
import Training

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Loss and perplexity of a run or a Hugging Face directory on text.",
    discussion: """
      Example: filigree evaluate runs/bsr --data book.txt

      Every token but the first is predicted once, from the tokens before it in its window; windows do not overlap.
      """)

  @OptionGroup var global: GlobalOptions
  @OptionGroup var argument: ModelArgument
  @Option(parsing: .upToNextOption, help: "Text files, directories, globs, JSON lines, gzip, zstd, or files of tokens.")
  var data: [String] = []
  @Option(
    help:
      "Tokens in a window; by default those of the run's training, or 512, or fewer where config.json has fewer positions."
  ) var sequence: Int?
  @Option(help: "Windows computed at once.") var batch = 8
  @OptionGroup var reading: DataOptions

  private struct Result: Encodable {
    let model: String
    let loss: Double
    let perplexity: Double
    let tokens: Int
    let sequence: Int
    let bytes: Int?
    let lossPerByte: Double?
    let tokenizer: String?
  }

  func run() throws {
    guard !data.isEmpty else { throw Refusal.badInput("--data is missing; name the text to evaluate on") }
    guard (1...1 << 20).contains(batch) else { throw Refusal.badInput("--batch \(batch) is not from 1 to 1048576") }
    let stored = try argument.stored(global)
    let length = sequence ?? stored.sequence ?? min(512, stored.configuration.positions ?? 512)
    guard (1...1 << 20).contains(length) else {
      throw Refusal.badInput("--sequence \(length) is not from 1 to 1048576")
    }
    let stream: TokenStream
    var bytes: Int?, name: String?
    if let shards = try TokenShard.open(data) {
      stream = try TokenStream(shards)
    } else {
      let tokenizer = try argument.tokenizer(of: stored)
      var options = reading.reading
      options.marksDocuments = reading.documentEnds ?? stored.documentEnds
      let text = try TextStore(reading: data, options)
      for remark in DataOptions.remarks(text.counts) { global.remark(remark) }
      let progress = ProgressLine("tokenize", total: text.store.count, quiet: global.quiet, patience: 1)
      stream = try TextEncoding.tokens(of: text.store, 0..<text.store.count, by: tokenizer, documents: text.documents) {
        progress.show($0, "bytes")
      }
      progress.end()
      (bytes, name) = (text.store.count, tokenizer.name)
    }
    guard stream.count >= 2 else {
      throw Refusal.badInput(
        "--data \(data.joined(separator: " ")) has \(stream.count == 0 ? "no token" : "one token"), and the first is only "
          + "predicted from; give text of two tokens or more")
    }
    let loaded = try argument.load(stored, global)
    Interruption.listen()
    let progress = ProgressLine(
      "evaluate", total: (stream.count + length - 2) / length, quiet: global.quiet, patience: 1)
    let (loss, tokens) = try loaded.evaluate(stream, sequence: length, batch: batch) { done, _ in
      try Interruption.check()
      progress.show(done, "windows")
    }
    progress.end()
    let lossPerByte = bytes.map { loss * Double(tokens) / Double($0) }
    let result = Result(
      model: argument.model, loss: loss, perplexity: exp(min(loss, 700)), tokens: tokens, sequence: min(length, tokens),
      bytes: bytes,
      lossPerByte: lossPerByte, tokenizer: name)
    if global.json { return Output.write(try RecordJSON.line(result, for: "standard output") + [10]) }
    Output.line(
      "loss \(Numeral.fixed(loss, 4)) nats per token, perplexity \(Numeral.fixed(result.perplexity, 3)), over \(tokens) tokens in windows of \(result.sequence)"
        + (lossPerByte.map { "; \(Numeral.fixed($0, 4)) nats per byte" } ?? ""))
  }
}
