import ArgumentParser
import Arrays
import Foundation
import Interchange
import Records

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "A run as a Hugging Face directory: dense for transformers, or compressed for Filigree.",
    discussion: "Example: filigree export runs/bsr --out exported")

  @OptionGroup var global: GlobalOptions
  @OptionGroup var argument: ModelArgument
  @Option(help: "The directory to make.") var out: String?
  @Flag(help: "Every weight as the dense matrix it stands for, as transformers reads it; the default.") var densify =
    false
  @Flag(help: "Structured weights as they are, bit for bit; transformers cannot read them.") var compressed = false

  private struct Result: Encodable {
    let out: String
    let form: String
    let parameters: Int
  }

  func run() throws {
    guard let out else { throw Refusal.badInput("--out is missing; name the directory to make") }
    let url = try PathOption.url(out, "--out")
    guard !(densify && compressed) else {
      throw Refusal.badInput("--densify and --compressed exclude each other; give one")
    }
    guard argument.tokenizer == nil else {
      throw Refusal.badInput("--tokenizer has no use here: the export takes the model's own tokenizer")
    }
    let stored = try argument.stored(global)
    let loaded = try argument.load(stored, global)
    try HuggingFaceExport(loaded, compressed ? .compressed : .densified).write(to: url)
    let form = compressed ? "compressed" : "densified"
    let result = Result(out: out, form: form, parameters: stored.plan.parameterCount)
    if global.json { return Output.write(try RecordJSON.line(result, for: "standard output") + [10]) }
    Output.line("\(out): \(form), \(stored.plan.parameterCount) stored parameters of the model")
  }
}
