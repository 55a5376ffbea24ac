import Arrays
import Devices
import Foundation
import Measuring
import Records
import Structures
import Tokenizers
import Training

/// A survey directory on its way from a plan to a report. Every part knows what is already there, so that the same call
/// continues after an interruption.
struct Survey {
  private(set) var record: SurveyRecord
  private let cells: [Cell]
  private let bench: Bench
  private let folder: URL
  private var runs: SurveyRuns

  /// One structure to time at one number of tokens.
  private struct Cell {
    let member: any Structure
    let requestedDensity: Double
    let tokens: Int
  }

  /// - Parameters:
  ///   - named: whether a person named the patterns: what has no member is then refused, and else left out with a remark.
  init(
    preset: SurveyPreset, setting: SurveyRuns.Setting, patterns: [String], densities: [Double], corpus: Corpus,
    bench: Bench, folder: URL, named: Bool, remark: (String) -> Void
  ) throws {
    self.bench = bench
    self.folder = folder
    let training = setting.training, seed = setting.seed
    // Labels are those of the gate's shape; the same label is used for up and down.
    let wide = Shape(outputs: training.architecture.intermediateSize, inputs: training.architecture.hiddenSize)
    let tall = Shape(outputs: wide.inputs, inputs: wide.outputs)
    let trained = try StructureChoice(patterns, of: wide, named: named, asked: densities, usual: [], seed: seed)
    for sentence in trained.remarks { remark(sentence) }
    var chosen: [(label: String, density: Double)] = []
    var ups: [Cell] = [], downs: [Cell] = []
    let others = trained.members.filter { !($0.member is Dense) }.map { ($0.member.label, $0.requestedDensity) }
    for (label, density) in [("dense", 1.0)] + others {
      do {
        let (up, down) = try (
          Catalog.member(label, of: wide, density: density, seed: seed),
          Catalog.member(label, of: tall, density: density, seed: seed)
        )
        ups.append(Cell(member: up, requestedDensity: density, tokens: training.batch * training.sequence))
        downs.append(Cell(member: down, requestedDensity: density, tokens: training.batch * training.sequence))
        if label != "dense" { chosen.append((label, density)) }
      } catch let refusal as Refusal where !named {
        remark("not timed at \(tall), density \(density): \(refusal.sentence)")
      }
    }
    // The reference's shapes at every density, then the very matrices that are trained, at a training step's tokens.
    let benchDensities = Set(preset.densities + densities).sorted(by: >)
    cells =
      try preset.shapes.flatMap { shape in
        let choice = try StructureChoice(
          patterns, of: shape, named: named, asked: densities, usual: preset.densities, seed: seed)
        for sentence in choice.remarks { remark(sentence) }
        return choice.members.flatMap { chosen in
          preset.tokens.map { Cell(member: chosen.member, requestedDensity: chosen.requestedDensity, tokens: $0) }
        }
      }
      + ups + downs
    runs = try SurveyRuns(setting, chosen: chosen, corpus: corpus)
    record = SurveyRecord(
      preset: preset.name, argv: CommandLine.arguments, modelPreset: training.name,
      equal: setting.equal == .steps ? nil : setting.equal, steps: setting.steps,
      tokensPerStep: training.batch * training.sequence,
      corpus: SurveyRecord.Corpus(
        name: corpus.name, trainingBytes: corpus.trainingBytes, validationBytes: corpus.validationBytes,
        unigramEntropy: corpus.unigramEntropy, entropyRate: corpus.entropyRate,
        tokenizer: corpus.tokenizerName(setting.tokenizer), bytesPerToken: corpus.bytesPerToken),
      shapes: (preset.shapes + [wide, tall]).map(\.description),
      benchTokens: preset.tokens + [training.batch * training.sequence], densities: benchDensities, runs: runs.runs,
      learningRates: setting.rates.isEmpty ? nil : setting.rates, machine: bench.machine,
      commit: Commit.current, time: TimeStamp.now())
  }

  /// Makes the directory, or checks that the survey in it is this one; it is the caller's alone as long as the result
  /// lives. At equal time a new survey is timed first, and one that is there goes on with the lengths that it has.
  mutating func open(quiet: Bool, makeDevice: () throws -> any Device) throws -> OpenFile {
    let file = folder.appendingPathComponent("survey.json")
    let isThere = FileManager.default.fileExists(atPath: file.path)
    if !isThere { try AtomicFile.makeFolder(folder) }
    let claim = try OpenFile(claiming: folder.path)
    guard isThere else {
      if record.equality == .time {
        let timing = try runs.timing(quiet: quiet, makeDevice: makeDevice)
        try runs.setSteps(by: timing)
        (record.timing, record.runs) = (timing, runs.runs)
      }
      try RecordJSON.write(record, to: file)
      return claim
    }
    let found = try RecordJSON.read(SurveyRecord.self, from: file)
    guard record.machine.computesLike(found.machine) else {
      throw Refusal.badInput(
        "\(folder.path) was begun with \(found.machine.howItComputes), not \(record.machine.howItComputes); give the same, "
          + "or choose another --out")
    }
    guard record.equality == found.equality else {
      throw Refusal.badInput(
        "\(folder.path) was begun with --equal \(found.equality.rawValue), not \(record.equality.rawValue); give the same, or "
          + "choose another --out")
    }
    let same = Survey.plan(of: found, on: record)
    guard same == record else {
      throw Refusal.badInput(
        "\(folder.path) holds a survey of another configuration (they differ in "
          + "\(try RunFolder.difference(same, record))); choose another --out, or remove it")
    }
    if record.equality == .time {
      guard try runs.takeSteps(of: found.runs) else {
        throw Refusal.badInput("\(file.path) has runs without a number of steps; choose another --out, or remove it")
      }
      (record.timing, record.runs) = (found.timing, runs.runs)
    }
    return claim
  }

  /// What was planned then, with what does not change the numbers as it is now.
  private static func plan(of found: SurveyRecord, on now: SurveyRecord) -> SurveyRecord {
    var plan = found
    // The limits are measured anew each time, and the rest of these do not change what is computed.
    plan.machine = now.machine
    plan.argv = now.argv
    plan.commit = now.commit
    plan.time = now.time
    // Where the text lies is told by its checksum, in every run.
    plan.corpus.name = now.corpus.name
    // Measured, not planned.
    if found.equality == .time {
      plan.timing = nil
      for index in plan.runs.indices { plan.runs[index].steps = nil }
    }
    return plan
  }

  private struct BenchKey: Hashable {
    let structure: String, shape: String, pass: String
    let tokens: Int
    let density: Double
  }

  func runBench(quiet: Bool) throws {
    let file = folder.appendingPathComponent("bench.jsonl")
    let writer = try JSONLinesWriter<BenchRecord>(file)
    let there = Set(
      try JSONLines.read(BenchRecord.self, from: file, allowingTornTail: true).map {
        BenchKey(
          structure: $0.structure, shape: "\($0.outputs)x\($0.inputs)", pass: $0.pass, tokens: $0.tokens,
          density: $0.density)
      })
    let progress = ProgressLine("bench", total: cells.count, quiet: quiet)
    for (index, cell) in cells.enumerated() {
      let member = cell.member
      let passes = DenseProduct.allCases.filter { pass in
        !there.contains(
          BenchKey(
            structure: member.label, shape: "\(member.shape)", pass: pass.rawValue, tokens: cell.tokens,
            density: member.density))
      }
      guard !passes.isEmpty else { continue }
      progress.show(index, "\(member.label) \(member.shape)")
      try bench.run(member, requestedDensity: cell.requestedDensity, tokens: cell.tokens, passes: passes) {
        try writer.append($0)
        try Interruption.check()
      }
    }
    progress.end()
  }

  func train(quiet: Bool, makeDevice: () throws -> any Device) throws {
    try runs.train(in: folder.appendingPathComponent("runs"), quiet: quiet, makeDevice: makeDevice)
  }

  /// In a sentence, where runs have lengths of their own.
  var lengths: String? {
    let steps = runs.runs.filter { $0.structure != "dense" }.compactMap(\.steps)
    guard let least = steps.min(), let most = steps.max() else { return nil }
    let what = record.equality == .flops ? "operations" : "training time"
    let others = least == most ? "\(most)" : "\(least) to \(most)"
    return "every run has the \(what) of dense's (--steps \(record.steps)); steps of the others: \(others)"
  }
}
