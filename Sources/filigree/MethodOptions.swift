import ArgumentParser
import Arrays
import Model
import Records
import Sparsifying
import Structures
import Training

/// How sparse weights are trained; the same for `train` and `survey`.
struct MethodOptions: ParsableArguments {
  @Option(
    help: "How patterns move: static, magnitude, set, rigl, prune-and-grow or sr-ste; a survey takes several.")
  var method = "static"
  @Option(help: "Changes of the pattern over the run.") var updates: Int?
  @Option(help: "Of the weights, those that leave at the first change.") var dropFraction: Double?
  @Option(help: "Fraction of the run after which patterns begin to change.") var changeFrom: Double?
  @Option(help: "Fraction of the run after which they stay.") var changeTo: Double?
  @Option(help: "Decay of the weights that sr-ste leaves out.") var maskedDecay: Double?
  @Option(help: "Steps between two choices of sr-ste's pattern.") var refreshEvery: Int?
  @Option(help: "A dense guide beside factorised matrices in the first half of the run: on, off or auto.")
  var selfGuided = SelfGuiding.auto
  @Option(help: "Layers at the beginning whose MLP stays dense.") var denseFirst = 0
  @Option(help: "Layers at the end whose MLP stays dense.") var denseLast = 0
  @Option(help: "How structures scale the learning rate: published, supar, graphcore or none.")
  var learningRateRule = "published"

  @Option(help: "Masks of gate and up: shared, with down reading what lives, or independent.")
  var masks = GatedMLP.Masks.shared

  @Option(
    help:
      "How first weights are drawn where a structure has the choice: variance, orthonormal, spectral or zero-last.")
  var initialization = Initialization.variance

  enum SelfGuiding: String, ExpressibleByArgument { case on, off, auto }

  /// What holds for every model alike.
  func applyCommon(to c: inout TrainingConfiguration) throws {
    c.denseFirst = denseFirst == 0 ? nil : denseFirst
    c.denseLast = denseLast == 0 ? nil : denseLast
    let rule = try RateRule(named: learningRateRule)
    c.learningRateRule = rule == .published ? nil : rule.rawValue
    c.masks = masks == .shared ? nil : masks.rawValue
    c.initialization = initialization == .variance ? nil : initialization.rawValue
  }

  /// - Throws: a `Refusal` for a method that is none, before anything has been made.
  func checkNames() throws {
    for name in ListOption.items(method) where name != "static" { _ = try Methods.named(name) }
  }

  func apply(to c: inout TrainingConfiguration) throws {
    try applyCommon(to: &c)
    c.method = try settings(method, for: c.structure)
    switch selfGuided {
    case .on: c.selfGuided = true
    case .off: c.selfGuided = nil
    case .auto: c.selfGuided = try SelfGuide.isSupported(c) ? true : nil
    }
  }

  /// The ways in which a survey trains a structure: with every method that can train it, and with a guide beside the
  /// plain way where one is asked for.
  func subjects(
    _ label: String, _ density: Double, _ setting: SurveyRuns.Setting, _ corpus: Corpus
  ) throws -> [SurveyRuns.Subject] {
    let names = ListOption.items(method)
    guard !names.isEmpty, Set(names).count == names.count else {
      throw Refusal.badInput(
        "--method is empty or names one twice; the methods are \(Methods.names.joined(separator: ", "))")
    }
    var subjects: [SurveyRuns.Subject] = []
    for name in names where name != "static" {
      let subject = SurveyRuns.Subject(
        label: label, density: density, variant: name, method: try settings(name, for: label))
      if try canTrain(subject, setting, corpus) { subjects.append(subject) }
    }
    var plain = SurveyRuns.Subject(label: label, density: density)
    if names.contains("static") || subjects.isEmpty {
      if selfGuided == .auto, try SelfGuide.isSupported(SurveyRuns.configuration(plain, setting, corpus)) {
        (plain.variant, plain.selfGuided) = (MethodOptions.guided, true)
      }
      subjects.insert(plain, at: 0)
    }
    if selfGuided == .on {
      let guided = SurveyRuns.Subject(
        label: label, density: density, variant: MethodOptions.guided, selfGuided: true)
      if try canTrain(guided, setting, corpus) { subjects.append(guided) }
    }
    return subjects
  }

  private static let guided = "self-guided"

  /// Whether the method is for this structure; what is wrong with the plain structure too is refused later.
  private func canTrain(
    _ subject: SurveyRuns.Subject, _ setting: SurveyRuns.Setting, _ corpus: Corpus
  ) throws -> Bool {
    let plan = try MistralPlan(
      setting.training.architecture, structure: subject.label, density: subject.density, seed: setting.seed)
    if subject.selfGuided == true { return !SelfGuide.linears(of: plan).isEmpty }
    guard let method = subject.method else { return true }
    return (try? Sparsifier.sites(of: plan, for: Methods.named(method.name))) != nil
  }

  /// The method's own numbers with those that are asked for; one that the method does not have is refused.
  private func settings(_ method: String, for structure: String) throws -> TrainingConfiguration.Method? {
    var settings =
      method == "static"
      ? TrainingConfiguration.Method(name: method) : try Methods.named(method).settings(for: structure)
    func set<Number>(
      _ value: Number?, _ field: WritableKeyPath<TrainingConfiguration.Method, Number?>, _ option: String
    ) throws {
      guard let value else { return }
      guard settings[keyPath: field] != nil else {
        throw Refusal.badInput("\(method) has no use for \(option); leave it out, or choose another --method")
      }
      settings[keyPath: field] = value
    }
    try set(updates, \.updates, "--updates")
    try set(dropFraction, \.dropFraction, "--drop-fraction")
    try set(changeFrom, \.start, "--change-from")
    try set(changeTo, \.stop, "--change-to")
    try set(maskedDecay, \.maskedDecay, "--masked-decay")
    try set(refreshEvery, \.refreshEvery, "--refresh-every")
    return method == "static" ? nil : settings
  }
}

extension GatedMLP.Masks: ExpressibleByArgument {}
extension Initialization: ExpressibleByArgument {}
