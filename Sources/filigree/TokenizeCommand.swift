import ArgumentParser
import Arrays
import Foundation
import Records
import Tokenizers
import Training

struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Text to files of tokens as llm.c keeps them; 'tokenize train' makes a tokenizer.",
    discussion: """
      Example: filigree tokenize --tokenizer tokenizer.json --data novels/ --out tokens/
      Example: filigree tokenize train --vocabulary 32000 --data novels/ --out tokenizer.json

      Without the name of a subcommand, 'shards' is meant; 'filigree tokenize shards --help' lists its options, which begin \
      with those of every command: --json, --quiet, --threads, --device, --seed.
      """,
    subcommands: [TokenShardsCommand.self, TrainTokenizerCommand.self], defaultSubcommand: TokenShardsCommand.self)
}

struct TokenShardsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shards",
    abstract: "Text to files of tokens.",
    discussion: """
      Example: filigree tokenize --tokenizer tokenizer.json --data novels/ --out tokens/

      Writes NAME_train_000001.bin, NAME_train_000002.bin, ... of at most --shard-tokens tokens, and NAME_val_000000.bin, the \
      end of the text, where --holdout is above 0; 16-bit where every token fits, else 32-bit. 'train' takes these files as \
      --data and --validation.
      """)

  @OptionGroup var global: GlobalOptions
  @Option(help: "bytes, a tokenizer.json or a SentencePiece model.") var tokenizer = "bytes"
  @Option(parsing: .upToNextOption, help: "Text files, directories, globs, JSON lines, gzip, zstd.") var data:
    [String] = []
  @Option(help: "The directory to write into.") var out: String?
  @Option(help: "What the files' names begin with.") var name = "text"
  @Option(help: "Tokens in one file at most.") var shardTokens = 100_000_000
  @Option(help: "Fraction of the tokens to keep for validation, from the end.") var holdout = 0.0
  @OptionGroup var reading: DataOptions

  private struct Result: Encodable {
    let tokenizer: String
    let tokens: Int
    let bytes: Int
    let largest: Int32
    let files: [String]
  }

  func run() throws {
    guard !data.isEmpty else { throw Refusal.badInput("--data is missing; name the text to tokenize") }
    guard let out else { throw Refusal.badInput("--out is missing; name the directory to write into") }
    let folder = try PathOption.url(out, "--out")
    guard !name.isEmpty, !name.contains("/"), !name.hasPrefix(".") else {
      throw Refusal.badInput("--name '\(name)' is not the beginning of a file's name")
    }
    guard (1...TokenShard.mostTokens).contains(shardTokens) else {
      throw Refusal.badInput("--shard-tokens \(shardTokens) is not from 1 to \(TokenShard.mostTokens)")
    }
    guard holdout >= 0, holdout < 1 else { throw Refusal.badInput("--holdout \(holdout) is not from 0 to below 1") }
    let chosen = try TokenizerFile.named(tokenizer).tokenizer
    // Shards of another text, or of another tokenizer, would be trained on with these.
    let there = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    if let old = there.sorted().first(where: {
      ($0.hasPrefix("\(name)_train_") || $0.hasPrefix("\(name)_val_")) && $0.hasSuffix(".bin")
    }) {
      throw Refusal.badInput("\(out) holds \(old) already; choose another --out or --name, or remove the old files")
    }
    let text = try TextStore(reading: data, reading.reading)
    for remark in DataOptions.remarks(text.counts) { global.remark(remark) }
    Interruption.listen()
    let progress = ProgressLine("tokenize", total: text.store.count, quiet: global.quiet, patience: 1)
    let stream = try TextEncoding.tokens(of: text.store, 0..<text.store.count, by: chosen, documents: text.documents) {
      try Interruption.check()
      progress.show($0, "bytes")
    }
    progress.end()
    try AtomicFile.makeFolder(folder)
    var files: [String] = []
    func write(_ range: Range<Int>, _ part: String, _ number: Int) throws {
      let digits = String(number)
      let file = "\(name)_\(part)_\(String(repeating: "0", count: max(0, 6 - digits.count)))\(digits).bin"
      try TokenShard.write(stream, range, to: folder.appendingPathComponent(file))
      files.append(file)
    }
    let held = Int(Double(stream.count) * holdout)
    if held > TokenShard.mostTokens {
      throw Refusal.badInput("--holdout \(holdout) keeps more tokens than one file holds")
    }
    if held > 0 { try write(stream.count - held..<stream.count, "val", 0) }
    for (index, start) in stride(from: 0, to: stream.count - held, by: shardTokens).enumerated() {
      try write(start..<min(start + shardTokens, stream.count - held), "train", index + 1)
    }
    let result = Result(
      tokenizer: chosen.name, tokens: stream.count, bytes: text.store.count, largest: stream.largest, files: files)
    if global.json { return Output.write(try RecordJSON.line(result, for: "standard output") + [10]) }
    Output.line(
      "\(stream.count) tokens of \(text.store.count) bytes by \(chosen.name), in \(files.count) files in \(out)")
  }
}
