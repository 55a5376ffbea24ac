import ArgumentParser
import Arrays
import Devices
import Foundation
import Interchange
import Measuring
import Model
import Records
import Structures
import Tokenizers
import Training

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Trains one Mistral whose MLP matrices have the structure you name.",
    discussion: """
      Example: filigree train --preset mistral-tiny --structure bsr-32 --density 0.25 --data book.txt --out runs/bsr

      Interrupted by Ctrl-C or killed, the same command with --resume continues; the losses are bit for bit the same.
      """)

  @OptionGroup var global: GlobalOptions
  @Option(help: "One of the presets; every option below overrides it.") var preset = "mistral-tiny"
  @Option(help: "Label of the structure of gate, up and down.") var structure = "dense"
  @Option(help: "Stored weights / all weights, where the label leaves it open.") var density: Double?
  @Option(help: "1 - density, for those who think that way.") var sparsity: Double?
  @Option(
    parsing: .upToNextOption,
    help: "Text files, directories, globs, JSON lines, gzip, zstd, or files of tokens; by default a generated text.")
  var data: [String] = []
  @Option(parsing: .upToNextOption, help: "Text to validate on; by default the end of --data.")
  var validation: [String] = []
  @Option(help: "bytes, a tokenizer.json of the BPE kind or a SentencePiece model.") var tokenizer = "bytes"
  @Option(help: "Optimiser steps.") var steps: Int?
  @Option(help: "Sequences in a step.") var batch: Int?
  @Option(help: "Tokens in a sequence.") var sequence: Int?
  @Option(help: "Peak of the schedule, for a dense matrix.") var learningRate: Double?
  @Option(help: "Steps between evaluations.") var evaluateEvery: Int?
  @Option(help: "Steps between checkpoints.") var checkpointEvery: Int?
  @Option(help: "Checkpoints kept.") var keep: Int?
  @Option(help: "The run directory.") var out: String?
  @Flag(help: "Continue the run in --out.") var resume = false
  @Flag(help: "Print parameters, operations and memory, and run nothing.") var dryRun = false
  @OptionGroup var method: MethodOptions
  @OptionGroup var model: ArchitectureOptions
  @OptionGroup var reading: DataOptions

  func run() throws {
    let chosen = try Preset.named(preset)
    let device = try global.makeDevice()
    try check(steps: steps ?? chosen.steps)
    let (tokenizer, tokenizerFile) = try TokenizerFile.named(tokenizer)
    let base = try model.base(or: chosen.architecture, global)
    let density = try ListOption.density(density, sparsity: sparsity)
    let length = sequence ?? chosen.sequence
    guard (1...1 << 20).contains(length) else {
      throw Refusal.badInput("--sequence \(length) is not from 1 to 1048576")
    }
    try PathOption.requireData(data, validation: validation)
    let corpus = try reading.corpus(
      data: data, validation: validation, sequence: length, tokenizer: tokenizer, global)
    var configuration = chosen.configuration(
      structure: structure, density: density, corpus: corpus, data: data, validation: validation,
      tokenizer: tokenizer, steps: steps)
    configuration.architecture = base
    if model.config != nil { configuration.preset = "config.json" }
    try apply(to: &configuration)
    let needed = corpus.isText ? tokenizer.vocabularySize : Int(corpus.largestToken) + 1
    guard configuration.architecture.vocabularySize >= needed else {
      throw Refusal.badInput(
        "--vocabulary \(configuration.architecture.vocabularySize) is below the \(needed) that "
          + "\(corpus.isText ? tokenizer.name : "these tokens") need; give --vocabulary \(needed) or more")
    }
    let machine = MachineRecord(device: device, libraries: [], limits: try device.measureLimits())
    let plan = try RunPlan(
      configuration, seed: global.seed, argv: CommandLine.arguments, machine: machine, versions: Filigree.versions,
      logitTokens: device.tokensOfLogits(vocabulary: configuration.architecture.vocabularySize))
    try remarkDensity(structure)
    try checkInitialization(plan.model)
    if dryRun {
      let estimate = try StepEstimate(seed: global.seed, on: device).seconds(of: plan)
      return try PlanPrinter(json: global.json, estimatedSeconds: estimate).show(plan)
    }
    guard let out else {
      throw Refusal.badInput("--out is missing; name the directory that the run shall be written to")
    }
    let folder = try PathOption.url(out, "--out")
    guard resume || !RunFolder(folder).exists else {
      throw Refusal.badInput("\(out) holds a run already; add --resume to continue it, or choose another --out")
    }
    if resume, !RunFolder(folder).exists { global.remark("there is no run in \(out) yet: it begins now") }
    Interruption.listen()
    let trainer = try Trainer(plan.record, plan: plan.model, corpus: corpus, folder: folder, on: device)
    try tokenizerFile?.keep(in: folder)
    let progress = ProgressLine("train \(plan.record.structure)", total: configuration.steps, quiet: global.quiet)
    let outcome = try trainer.run(checkingEnd: true, interrupted: { Interruption.isAsked }) { metric in
      if let loss = metric.loss {
        progress.show(
          metric.step, "loss \(Numeral.fixed(loss, 4)), \(Numeral.fixed(metric.tokensPerSecond ?? 0, 0)) tokens/s")
      }
      if global.json { Output.write(try RecordJSON.line(metric, for: "standard output") + [10]) }
    }
    progress.end()
    if outcome == .interrupted {
      global.remark("interrupted; the state is in \(out): the same command with --resume continues")
      throw Interruption()
    }
    guard !global.json else { return }
    let metrics = try JSONLines.read(MetricRecord.self, from: RunFolder(folder).metrics)
    let last = metrics.last { $0.validationLoss != nil }?.validationLoss ?? .nan
    let bytes = corpus.bytesPerToken.flatMap { $0 == 1 ? nil : " (\(Numeral.fixed(last / $0, 4)) per byte)" } ?? ""
    Output.line("\(plan.record.structure): validation loss \(Numeral.fixed(last, 4)) nats per token\(bytes), in \(out)")
  }

  private func check(steps: Int) throws {
    guard (1...1 << 30).contains(steps) else {
      throw Refusal.badInput("--steps \(steps) is not from 1 to 1073741824")
    }
  }

  private func checkInitialization(_ plan: MistralPlan) throws {
    let wanted = method.initialization
    let structures = plan.layers.flatMap(\.mlp.linears).map(\.structure)
    guard wanted != .variance, !structures.contains(where: { $0.initializations.contains(wanted) }) else { return }
    let others = Set(structures.flatMap(\.initializations)).map(\.rawValue).sorted().joined(separator: ", ")
    throw Refusal.badInput(
      "\(plan.structureLabel) has no initialisation '\(wanted.rawValue)' (it has \(others)); leave --initialization out, or "
        + "choose another")
  }

  /// Says so where the label alone decides the density and another was asked for.
  private func remarkDensity(_ label: String) throws {
    guard density != nil || sparsity != nil else { return }
    let family = try Catalog.family(of: label).type.card
    guard !family.densityIsFree, label != family.family || label == "dense" else { return }
    global.remark("the label \(label) decides its density: --\(density == nil ? "sparsity" : "density") is not used")
  }

  private func apply(to c: inout TrainingConfiguration) throws {
    model.apply(to: &c.architecture)
    if let batch { c.batch = batch }
    if let sequence { c.sequence = sequence }
    if let learningRate { c.learningRate = learningRate }
    if let evaluateEvery { c.evaluateEvery = evaluateEvery }
    if let checkpointEvery { c.checkpointEvery = checkpointEvery }
    if let keep { c.keepCheckpoints = keep }
    try method.apply(to: &c)
    guard (1...1 << 20).contains(c.batch) else { throw Refusal.badInput("--batch \(c.batch) is not from 1 to 1048576") }
    c.evaluationSequences = max(c.evaluationSequences, c.batch)
  }
}

/// Every number of the model has a flag.
struct ArchitectureOptions: ParsableArguments {
  @Option(help: "Features of a token.") var hiddenSize: Int?
  @Option(help: "Hidden units of an MLP.") var intermediateSize: Int?
  @Option(help: "Decoder layers.") var layers: Int?
  @Option(help: "Heads of queries in attention.") var heads: Int?
  @Option(help: "Heads of keys and values, which divide the heads; by default as many.") var keyValueHeads: Int?
  @Option(help: "Features of a head, an even number.") var headDimension: Int?
  @Option(help: "Rows of the embedding and of the output layer.") var vocabulary: Int?
  @Option(help: "Added to the mean square in RMSNorm.") var normEpsilon: Double?
  @Option(help: "Base of the wavelengths of the rotary embedding.") var ropeTheta: Double?
  @Option(help: "Tokens that a query sees, itself included; 0 for all before it.") var slidingWindow: Int?
  @Option(help: "Standard deviation of the first weights of dense matrices.") var initializerRange: Double?
  @Flag(inversion: .prefixedNo, help: "The output layer is the embedding.") var tiedEmbeddings: Bool?
  @Option(help: "A Mistral's config.json in place of the preset's architecture; the flags above override it.")
  var config: String?

  /// The architecture that the flags change.
  func base(or preset: Architecture, _ global: GlobalOptions) throws -> Architecture {
    guard let config else { return preset }
    let configuration = try MistralConfiguration(contentsOf: try PathOption.url(config, "--config"))
    for remark in configuration.remarks { global.remark(remark) }
    return configuration.architecture
  }

  func apply(to a: inout Architecture) {
    if let hiddenSize { a.hiddenSize = hiddenSize }
    if let intermediateSize { a.intermediateSize = intermediateSize }
    if let layers { a.layers = layers }
    if let heads {
      a.heads = heads
      if keyValueHeads == nil { a.keyValueHeads = heads }
    }
    if let keyValueHeads { a.keyValueHeads = keyValueHeads }
    if let headDimension { a.headDimension = headDimension }
    if let vocabulary { a.vocabularySize = vocabulary }
    if let normEpsilon { a.normEpsilon = normEpsilon }
    if let ropeTheta { a.ropeTheta = ropeTheta }
    if let slidingWindow { a.slidingWindow = slidingWindow == 0 ? nil : slidingWindow }
    if let initializerRange { a.initializerRange = initializerRange }
    if let tiedEmbeddings { a.tiedEmbeddings = tiedEmbeddings }
  }
}
