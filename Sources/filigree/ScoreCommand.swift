import ArgumentParser
import Arrays
import Foundation
import Interchange
import Records

struct ScoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score",
    abstract: "Log-probabilities of given tokens, each from all the ones before it.",
    discussion: "Example: filigree score MODEL --tokens 1,5,7 --json")

  @OptionGroup var global: GlobalOptions
  @OptionGroup var argument: ModelArgument
  @Option(help: "Numbers of tokens, comma-separated.") var tokens: String?
  @Option(help: "A file of numbers of tokens.") var tokensFile: String?

  /// nll[i] in nats of token i + 1 given the ones before; loss is their mean.
  private struct Result: Encodable {
    let tokens: [Int32]
    let nll: [Float]
    let loss: Double
  }

  func run() throws {
    let given: [Int32]
    switch (tokens, tokensFile) {
    case (let text?, nil): given = try TokenList.parse(text, "--tokens")
    case (nil, let path?):
      _ = try PathOption.url(path, "--tokens-file")
      let bytes = try OpenFile(reading: path).contents(limit: 1 << 24)
      given = try TokenList.parse(String(decoding: bytes, as: UTF8.self), path)
    default: throw Refusal.badInput("give the tokens, either with --tokens or with --tokens-file")
    }
    let stored = try argument.stored(global)
    let nll = try argument.load(stored, global).score(given)
    let loss = nll.reduce(0.0) { $0 + Double($1) } / Double(nll.count)
    guard loss.isFinite else {
      throw Refusal.failed("the loss of \(argument.model) is \(loss); its weights are damaged")
    }
    let result = Result(tokens: given, nll: nll, loss: loss)
    if global.json { return Output.write(try RecordJSON.line(result, for: "standard output") + [10]) }
    for (token, value) in zip(given.dropFirst(), nll) { Output.line("\(token)\t\(Numeral.fixed(Double(value), 6))") }
    Output.line("loss \(Numeral.fixed(loss, 6)) nats per token, over \(nll.count) tokens")
  }
}
