import ArgumentParser
import Arrays
import Devices
import Foundation
import Interchange
import Tokenizers

/// The model that a command works with, and the tokenizer that goes with it.
struct ModelArgument: ParsableArguments {
  @Argument(help: "A run directory, or a Hugging Face directory of a Mistral.") var model: String
  @Option(help: "bytes, a tokenizer.json or a SentencePiece model; by default the directory's own.")
  var tokenizer: String?

  func stored(_ global: GlobalOptions) throws -> StoredModel {
    let stored = try StoredModel(try PathOption.url(model, "MODEL"))
    for remark in stored.remarks { global.remark(remark) }
    return stored
  }

  func load(_ stored: StoredModel, _ global: GlobalOptions) throws -> LoadedModel {
    let device = try global.makeDevice()
    let progress = ProgressLine("load", total: stored.plan.parameterCount, quiet: global.quiet, patience: 1)
    defer { progress.end() }
    return try stored.load(on: device) { done, _ in progress.show(done, "parameters") }
  }

  func tokenizer(of stored: StoredModel) throws -> any Tokenizer {
    let chosen = try tokenizer.map { try TokenizerFile.named($0).tokenizer } ?? stored.tokenizer
    guard let chosen else {
      throw Refusal.badInput("\(model) has no tokenizer; name one with --tokenizer, or give tokens")
    }
    let vocabulary = stored.configuration.architecture.vocabularySize
    guard chosen.vocabularySize <= vocabulary else {
      throw Refusal.badInput(
        "the tokenizer \(chosen.name) has \(chosen.vocabularySize) tokens and \(model) a vocabulary of \(vocabulary); "
          + "give the tokenizer that the model was trained with")
    }
    return chosen
  }
}

/// Numbers of tokens on the command line or in a file, with commas, blanks or brackets between them.
enum TokenList {
  static let most = 1 << 20

  static func parse(_ text: String, _ option: String) throws -> [Int32] {
    let separators: Set<Character> = [",", " ", "\n", "\r\n", "\r", "\t", "[", "]"]
    let words = text.split { separators.contains($0) }
    guard words.count <= most else {
      throw Refusal.badInput("\(option) has \(words.count) tokens; give at most \(most)")
    }
    return try words.map { word in
      guard let token = Int32(word), token >= 0 else {
        throw Refusal.badInput(
          "'\(word.prefix(40))' in \(option) is not the number of a token; give whole numbers from 0, such as 1,5,7")
      }
      return token
    }
  }
}
