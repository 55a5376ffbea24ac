import ArgumentParser
import Arrays
import Foundation
import Measuring
import Records
import Reporting
import Structures
import Tokenizers
import Training

struct SurveyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "survey",
    abstract: "The main job: benchmarks structures, trains a Mistral with each, and writes a report with verdicts.",
    discussion: """
      Example: filigree survey --preset quick --data novels/ --out survey

      Interrupted by Ctrl-C or killed, the same command continues where it was.
      """)

  @OptionGroup var global: GlobalOptions
  @Option(help: "quick (minutes), standard (an hour or two) or full (days on a CPU).") var preset = "quick"
  @Option(
    parsing: .upToNextOption,
    help:
      "Text files, directories, globs, JSON lines, gzip, zstd, or files of tokens; by default a generated text of known entropy."
  )
  var data: [String] = []
  @Option(parsing: .upToNextOption, help: "Text to validate on; by default the end of --data.")
  var validation: [String] = []
  @Option(help: "bytes, a tokenizer.json of the BPE kind or a SentencePiece model.") var tokenizer = "bytes"
  @Option(help: "Globs over labels; dense is always among them.") var structures: String?
  @Option(help: "Densities to train at, and to time at beside the preset's.") var densities: String?
  @Option(help: "Outputs x inputs to time, beside the shapes of the model.") var shapes: String?
  @Option(help: "Tokens in a timed call, beside those of a training step.") var tokens: String?
  @Option(help: "A training preset.") var model: String?
  @Option(help: "Optimiser steps of each run; of dense, where --equal is flops or time.") var steps: Int?
  @Option(
    help:
      "What every run has the same of: steps, flops (operations of the whole run: what computes less has more steps, and a schedule of that length) or time (the same, by steps timed beside dense when the survey begins)."
  )
  var equal = SurveyRecord.Equality.steps
  @Option(help: "Seeds of each run.") var seeds: Int?
  @Option(help: "Rates to train the first seed of every structure with, such as 5e-4,1e-3,2e-3; the best is reported.")
  var learningRates: String?
  @Option(help: "The survey directory.") var out = "survey"
  @OptionGroup var method: MethodOptions
  @OptionGroup var reading: DataOptions

  func run() throws {
    let device = try global.makeDevice()
    try method.checkNames()
    let folder = try PathOption.url(out, "--out")
    try PathOption.requireWritable(folder, "--out")
    var preset = try SurveyPreset.named(preset)
    if let shapes { preset.shapes = try ListOption.shapes(shapes) }
    if let tokens { preset.tokens = try ListOption.counts(tokens, "--tokens") }
    var training = try Preset.named(model ?? preset.model)
    let (tokenizer, tokenizerFile) = try TokenizerFile.named(tokenizer)
    training.architecture.vocabularySize = max(training.architecture.vocabularySize, tokenizer.vocabularySize)
    let steps = steps ?? preset.steps
    guard (1...1 << 30).contains(steps) else { throw Refusal.badInput("--steps \(steps) is not from 1 to 1073741824") }
    let seeds = seeds ?? preset.seeds
    guard (1...100).contains(seeds) else { throw Refusal.badInput("--seeds \(seeds) is not from 1 to 100") }
    guard UInt64(max(seeds, preset.denseSeeds)) <= UInt64.max - global.seed else {
      throw Refusal.badInput(
        "the seed \(global.seed) has too few after it for the survey's runs; give a smaller --seed")
    }
    let patterns = structures.map(ListOption.items) ?? preset.structures
    guard !patterns.isEmpty else { throw Refusal.badInput("--structures is empty; 'filigree list' shows the labels") }
    let densities = try densities.map(ListOption.densities) ?? preset.trainingDensities
    try PathOption.requireData(data, validation: validation)
    let corpus = try reading.corpus(
      data: data, validation: validation, sequence: training.sequence, tokenizer: tokenizer, global)
    guard corpus.largestToken < training.architecture.vocabularySize else {
      throw Refusal.badInput(
        "the text has the token \(corpus.largestToken) and \(training.name) a vocabulary of "
          + "\(training.architecture.vocabularySize); choose a larger --model")
    }
    let libraries = global.denseLibraries()
    let bench = try Bench(device: device, libraries: libraries)
    bench.seed = global.seed
    bench.budget = preset.benchBudget
    let setting = SurveyRuns.Setting(
      training: training, equal: equal, steps: steps, seeds: seeds, denseSeeds: preset.denseSeeds,
      rates: try learningRates.map(ListOption.rates) ?? [], method: method, data: data, validation: validation,
      tokenizer: tokenizer, tokenizerFile: tokenizerFile,
      seed: global.seed, machine: bench.machine,
      logitTokens: device.tokensOfLogits(vocabulary: training.architecture.vocabularySize))
    var survey = try Survey(
      preset: preset, setting: setting, patterns: patterns, densities: densities, corpus: corpus, bench: bench,
      folder: folder, named: structures != nil, remark: global.remark)
    Interruption.listen()
    let start = Clock.seconds()
    do {
      let claim = try survey.open(quiet: global.quiet, makeDevice: global.makeDevice)
      defer { withExtendedLifetime(claim) {} }
      if let lengths = survey.lengths { global.remark(lengths) }
      try survey.runBench(quiet: global.quiet)
      try survey.train(quiet: global.quiet, makeDevice: global.makeDevice)
    } catch is Interruption {
      let begun = FileManager.default.fileExists(atPath: folder.appendingPathComponent("survey.json").path)
      global.remark(
        begun
          ? "interrupted; the state is in \(out): the same command continues"
          : "interrupted before the survey began: the same command begins anew")
      throw Interruption()
    }
    let page = try ReportCommand.write(folder, global)
    global.remark("survey done in \(ProgressLine.clock(Clock.seconds() - start))")
    guard global.json else { return Output.line("report: \(page.path)") }
    Output.write(try RecordJSON.indented(SurveyReport(reading: folder).summary, for: out) + [10])
  }
}

extension SurveyRecord.Equality: ExpressibleByArgument {}
