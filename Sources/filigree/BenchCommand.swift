import ArgumentParser
import Arrays
import Devices
import Foundation
import Measuring
import Records
import Structures

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Times forward, input gradient and weight gradient of structures beside the best dense GEMM.",
    discussion: """
      Every product is checked against its definition in the run that times it; one that is wrong is reported as wrong, \
      and the exit status is 1.

      Example: filigree bench --structures 'bsr-*,csr' --shapes 3072x768 --tokens 2048 --densities 0.5,0.1 --threads 1
      """)

  @OptionGroup var global: GlobalOptions
  @Option(help: "Globs over labels.") var structures = "*"
  @Option(help: "Outputs x inputs.") var shapes = "3072x768,768x3072"
  @Option(help: "Tokens in a call.") var tokens = "512"
  @Option(help: "Stored weights / all weights; by default 0.5,0.25,0.1, as far as a structure has them.")
  var densities: String?
  @Option(help: "forward, inputGradient, weightGradient.") var passes = "forward,inputGradient,weightGradient"
  @Option(help: "Dense libraries to compare with: openblas, blis, mkl; by default all that are found.")
  var against: String?
  @Option(help: "Seconds for one pass of one structure, all libraries together.") var budget = 0.5
  @Option(help: "Append the records to this file, a JSON object per line.") var out: String?

  private static let usualDensities = [0.5, 0.25, 0.1]

  func run() throws {
    let device = try global.makeDevice()
    let shapes = try ListOption.shapes(shapes), tokens = try ListOption.counts(tokens, "--tokens")
    let memory = Machine.read().memoryBytes
    for shape in shapes { try Bench.requireMemory(shape, tokens: tokens.max() ?? 1, of: memory) }
    let densities = try densities.map(ListOption.densities)
    let passes = try ListOption.items(passes).map { name in
      guard let pass = DenseProduct(rawValue: name) else {
        throw Refusal.badInput("there is no pass '\(name)'; the passes are forward, inputGradient and weightGradient")
      }
      return pass
    }
    guard budget >= 0, budget <= 3600 else {
      throw Refusal.badInput("--budget \(budget) is not from 0 to 3600 seconds")
    }
    let patterns = ListOption.items(structures)
    guard !patterns.isEmpty else { throw Refusal.badInput("--structures is empty; 'filigree list' shows the labels") }
    let members = try shapes.map { shape in
      let choice = try StructureChoice(
        patterns, of: shape, asked: densities ?? [], usual: densities == nil ? Self.usualDensities : [],
        seed: global.seed)
      for sentence in choice.remarks { global.remark(sentence) }
      return choice.members
    }
    try Catalog.require(members.flatMap { $0.map(\.member) }, on: device)
    let writer = try out.map { try JSONLinesWriter<BenchRecord>(try PathOption.url($0, "--out")) }
    let libraries = try against.map { try DenseLibrary.named(ListOption.items($0)) } ?? global.denseLibraries()
    Interruption.listen()
    let bench = try Bench(device: device, libraries: libraries)
    bench.seed = global.seed
    bench.budget = budget
    let table = BenchTablePrinter(json: global.json)
    let total = members.reduce(0) { $0 + $1.count } * tokens.count
    let progress = ProgressLine("bench", total: total, quiet: global.quiet || !global.json && isatty(1) == 1)
    var wrong = 0, done = 0
    table.begin(bench.machine)
    for chosen in members {
      for tokens in tokens {
        for (member, density) in chosen {
          try bench.run(member, requestedDensity: density, tokens: tokens, passes: passes) { record in
            try writer?.append(record)
            try table.show(record)
            if !record.verified { wrong += 1 }
            try Interruption.check()
          }
          done += 1
          progress.show(done, "\(member.label) \(member.shape)")
        }
      }
    }
    progress.end()
    if wrong > 0 { throw Refusal.failed("\(wrong) products are WRONG: their times count for nothing; see 'verified'") }
  }
}
