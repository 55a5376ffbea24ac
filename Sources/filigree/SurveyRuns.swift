import Arrays
import Devices
import Foundation
import Measuring
import Model
import Records
import Structures
import Tokenizers
import Training

/// The training runs of a survey: what is planned, in which order, and how it is done.
///
/// Every structure, dense and narrow among them, is trained with the first seed at every rate of the sweep; its other
/// seeds take the rate that was best for it on the validation text. Without a sweep all take the model's own rate.
struct SurveyRuns {
  let setting: Setting
  private(set) var planned: [Planned]
  let corpus: Corpus
  private let rates: [Double]

  struct Planned {
    let subject: Subject
    var run: SurveyRecord.Run
    var configuration: TrainingConfiguration
  }

  /// One structure at one density, trained in one way.
  struct Subject: Equatable {
    let label: String
    let density: Double
    var variant: String?
    var method: TrainingConfiguration.Method?
    var selfGuided: Bool?
  }

  struct Setting {
    let training: Preset
    let equal: SurveyRecord.Equality
    /// Of every run, or, where operations or time are equal, of dense.
    let steps: Int
    /// At least so many for every structure, and for dense.
    let seeds: Int
    let denseSeeds: Int
    let rates: [Double]
    let method: MethodOptions
    let data: [String]
    let validation: [String]
    let tokenizer: any Tokenizer
    let tokenizerFile: TokenizerFile?
    let seed: UInt64
    let machine: MachineRecord
    /// Tokens whose logits the device holds at once.
    let logitTokens: Int
  }

  /// - Parameter chosen: labels with the density asked for.
  init(_ setting: Setting, chosen: [(label: String, density: Double)], corpus: Corpus) throws {
    self.setting = setting
    self.corpus = corpus
    rates = setting.rates
    var planned: [Planned] = []
    let subjects = try SurveyRuns.subjects(chosen, setting, corpus)
    for subject in subjects {
      let count = subject.label == "dense" ? max(setting.seeds, setting.denseSeeds) : setting.seeds
      for offset in 0..<count {
        let seed = setting.seed &+ UInt64(offset)
        for rate in offset == 0 && !rates.isEmpty ? rates.map(Optional.some) : [nil] {
          planned.append(try SurveyRuns.planned(subject, seed: seed, rate: rate, setting, corpus))
        }
      }
    }
    // One dense run goes last: a machine that slows down or speeds up meanwhile shows in the spread of dense's times.
    if let last = planned.lastIndex(where: { $0.run.structure == "dense" }), last > 0 {
      planned.append(planned.remove(at: last))
    }
    self.planned = planned
    // Refuses now what could not be trained in an hour.
    var flops: Double?
    for index in planned.indices {
      let plan = try self.plan(planned[index])
      // Dense is the first.
      flops = flops ?? plan.record.trainingFlops
      if setting.equal == .flops, let flops {
        try setSteps(try RunLength.steps(of: plan, flops: flops), ofRun: index)
        _ = try plan.lengthened(to: self.planned[index].configuration)
      }
    }
  }

  /// Gives a run its own length, the schedule and the evaluations of that length with it.
  mutating func setSteps(_ steps: Int, ofRun index: Int) throws {
    let item = planned[index]
    planned[index].run.steps = steps
    planned[index].configuration = try SurveyRuns.configuration(item.subject, setting, corpus, steps: steps)
    planned[index].configuration.learningRate = item.configuration.learningRate
  }

  var runs: [SurveyRecord.Run] { planned.map(\.run) }

  /// Dense first, then narrow at every density, then what was chosen in every way that it can be trained.
  private static func subjects(
    _ chosen: [(label: String, density: Double)], _ setting: Setting, _ corpus: Corpus
  ) throws -> [Subject] {
    var subjects = [Subject(label: "dense", density: 1)]
    var densities: [Double] = []
    for (_, density) in chosen where density < 1 && !densities.contains(density) { densities.append(density) }
    for density in densities where !chosen.contains(where: { $0.label == Narrow.card.family && $0.density == density })
    {
      subjects.append(Subject(label: Narrow.card.family, density: density))
    }
    for (label, density) in chosen { subjects += try setting.method.subjects(label, density, setting, corpus) }
    return subjects
  }

  /// - Parameter steps: where they are not the survey's; warm-up, cosine and checkpoints go with them.
  static func configuration(
    _ subject: Subject, _ setting: Setting, _ corpus: Corpus, steps: Int? = nil
  ) throws -> TrainingConfiguration {
    var c = setting.training.configuration(
      structure: subject.label, density: subject.density, corpus: corpus, data: setting.data,
      validation: setting.validation, tokenizer: setting.tokenizer, steps: steps ?? setting.steps)
    try setting.method.applyCommon(to: &c)
    c.method = subject.method
    c.selfGuided = subject.selfGuided
    if setting.equal != .steps { c.evaluations = min(mostEvaluations, setting.steps) }
    return c
  }

  /// Where runs differ in length they are evaluated at the same fractions: tenths, or dense's steps where it has fewer.
  private static let mostEvaluations = 10

  /// A run on paper, as it is planned or trained.
  func plan(_ item: Planned, argv: [String] = []) throws -> RunPlan {
    try RunPlan(
      item.configuration, seed: item.run.seed, argv: argv, machine: setting.machine, versions: Filigree.versions,
      logitTokens: setting.logitTokens)
  }

  private static func planned(
    _ subject: Subject, seed: UInt64, rate: Double?, _ setting: Setting, _ corpus: Corpus
  ) throws -> Planned {
    var c = try configuration(subject, setting, corpus)
    if let rate { c.learningRate = rate }
    var directory = "\(subject.label)-d\(short(subject.density))-s\(seed)"
    if let variant = subject.variant { directory += "-\(variant)" }
    if let rate { directory += "-r\(short(rate))" }
    return Planned(
      subject: subject,
      run: SurveyRecord.Run(
        structure: subject.label, requestedDensity: subject.density, seed: seed, directory: directory,
        variant: subject.variant, learningRate: rate),
      configuration: c)
  }

  /// 0.25, 0.1, 1: no zeros at the end.
  private static func short(_ number: Double) -> String { number == 1 ? "1" : "\(number)" }

  // MARK: Training

  func train(in folder: URL, quiet: Bool, makeDevice: () throws -> any Device) throws {
    let lengths = planned.map(\.configuration.steps)
    let progress = ProgressLine("training", total: lengths.reduce(0, +), quiet: quiet)
    var before = 0
    for (index, item) in planned.enumerated() {
      defer { before += lengths[index] }
      try Interruption.check()
      let run = RunFolder(folder.appendingPathComponent(item.run.directory))
      if FileManager.default.fileExists(atPath: run.diverged.path) { continue }
      var item = item
      if !rates.isEmpty, item.run.learningRate == nil {
        guard let best = try bestRate(like: item.run, in: folder) else {
          Output.complain("every rate of the sweep diverged for \(item.run.directory), which is left out")
          continue
        }
        item.configuration.learningRate = best
      }
      let plan = try self.plan(item, argv: CommandLine.arguments)
      // A device of its own for every run: its memory goes when the run is done, so that peaks can be compared.
      let trainer = try Trainer(plan.record, plan: plan.model, corpus: corpus, folder: run.url, on: try makeDevice())
      try setting.tokenizerFile?.keep(in: run.url)
      do {
        let outcome = try trainer.run(interrupted: { Interruption.isAsked }) { metric in
          if let loss = metric.loss {
            progress.show(
              before + metric.step, "\(item.run.directory): loss \(Numeral.fixed(loss, 3))",
              share: share(of: metric.step, in: index))
          }
        }
        if outcome == .interrupted {
          progress.end()
          throw Interruption()
        }
      } catch let refusal as Refusal where trainer.hasDiverged {
        // The others go on, and the report says it.
        try AtomicFile.write(Array("\(refusal.sentence)\n".utf8), to: run.diverged)
      }
    }
    progress.end()
  }

  /// Of the work of all runs, what is done: where lengths differ, so that all runs cost the same, a run is a run.
  private func share(of step: Int, in index: Int) -> Double {
    (Double(index) + Double(step) / Double(planned[index].configuration.steps)) / Double(planned.count)
  }

  /// The rate of the sweep with the lowest final validation loss; the smaller of two equal ones.
  private func bestRate(like run: SurveyRecord.Run, in folder: URL) throws -> Double? {
    var best: (rate: Double, loss: Double)?
    for item in planned {
      guard let rate = item.run.learningRate, item.run.structure == run.structure,
        item.run.requestedDensity == run.requestedDensity, item.run.variant == run.variant
      else { continue }
      let swept = RunFolder(folder.appendingPathComponent(item.run.directory))
      guard swept.isDone else { continue }
      let metrics = try JSONLines.read(MetricRecord.self, from: swept.metrics)
      guard let loss = metrics.last(where: { $0.validationLoss != nil })?.validationLoss else { continue }
      if best.map({ loss < $0.loss || loss == $0.loss && rate < $0.rate }) ?? true { best = (rate, loss) }
    }
    return best?.rate
  }
}
