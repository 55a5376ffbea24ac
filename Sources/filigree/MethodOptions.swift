import ArgumentParser
import Arrays
import Model
import Records
import Sparsifying
import Structures

/// How sparse weights are trained; the same for `train` and `survey`.
struct MethodOptions: ParsableArguments {
  @Option(help: "How patterns move: static, magnitude, set, rigl, prune-and-grow or sr-ste.") var method = "static"
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

  enum SelfGuiding: String, ExpressibleByArgument { case on, off, auto }

  func apply(to c: inout TrainingConfiguration) throws {
    c.method = try settings(for: c.structure)
    c.selfGuided = selfGuided == .on ? true : nil
    c.denseFirst = denseFirst == 0 ? nil : denseFirst
    c.denseLast = denseLast == 0 ? nil : denseLast
    let rule = try RateRule(named: learningRateRule)
    c.learningRateRule = rule == .published ? nil : rule.rawValue
  }

  /// The method's own numbers with those that are asked for; one that the method does not have is refused.
  private func settings(for structure: String) throws -> TrainingConfiguration.Method? {
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
