import ArgumentParser
import Arrays
import Foundation
import Interchange
import Records
import Tokenizers

struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Text from a model, to look at it; the same seed gives the same text.",
    discussion: "Example: filigree generate runs/bsr --prompt 'It was' --max-tokens 200 --temperature 0.8 --top-p 0.95")

  @OptionGroup var global: GlobalOptions
  @OptionGroup var argument: ModelArgument
  @Option(help: "What the text begins with.") var prompt = ""
  @Option(help: "Tokens to add at most.") var maxTokens = 100
  @Option(help: "Divides the logits; 0 takes the likeliest token each time.") var temperature = 1.0
  @Option(help: "Draw from the fewest likeliest tokens that have this probability together.") var topP = 1.0

  private struct Result: Encodable {
    let prompt: String
    let text: String
    let tokens: [Int32]
  }

  func run() throws {
    guard (0...TokenList.most).contains(maxTokens) else {
      throw Refusal.badInput("--max-tokens \(maxTokens) is not from 0 to \(TokenList.most)")
    }
    let stored = try argument.stored(global)
    let tokenizer = try argument.tokenizer(of: stored)
    var generation = try TextGeneration(temperature: temperature, topP: topP, seed: global.seed)
    let beginning = stored.configuration.beginning.flatMap { Int32(exactly: $0) } ?? tokenizer.beginning
    let first = beginning.map { [$0] } ?? []
    let start = (tokenizer.beginning == nil ? [] : first) + tokenizer.encode(Array(prompt.utf8))
    let ends = Set(stored.configuration.ends.compactMap { Int32(exactly: $0) } + (tokenizer.end.map { [$0] } ?? []))
    let loaded = try argument.load(stored, global)
    Interruption.listen()
    // What is printed already, so that a character of several tokens waits until it is whole.
    var shown = 0
    var all = start
    func text() throws -> [UInt8] { try tokenizer.decode(all.filter { Int($0) < tokenizer.vocabularySize }) }
    func show(last: Bool) throws {
      if global.json { return }
      let bytes = try text()
      let end = last ? bytes.count : bytes.count - GenerateCommand.openBytes(bytes)
      if end > shown { Output.write(Array(bytes[shown..<end])) }
      shown = max(shown, end)
    }
    let added = try generation.run(loaded, prompt: start, most: maxTokens, ends: ends) { token in
      try Interruption.check()
      all.append(token)
      try show(last: false)
      return true
    }
    try show(last: true)
    guard global.json else { return Output.line("") }
    let whole = String(decoding: try text(), as: UTF8.self)
    Output.write(try RecordJSON.line(Result(prompt: prompt, text: whole, tokens: added), for: "standard output") + [10])
  }

  /// Bytes at the end that begin a character which is not whole yet.
  static func openBytes(_ bytes: [UInt8]) -> Int {
    for back in 1...3 where back <= bytes.count {
      let byte = bytes[bytes.count - back]
      if byte & 0xc0 == 0x80 { continue }
      let length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
      return length > back ? back : 0
    }
    return 0
  }
}
