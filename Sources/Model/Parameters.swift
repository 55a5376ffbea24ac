import Arrays
import Devices
import Structures
import Synchronization

/// The model's arena: every value in one flat vector, every gradient in another of the same layout.
public final class Parameters: Sendable {
  public let tensors: [ParameterTensor]
  public let values: Vector
  public let gradients: Vector
  public var count: Int { values.count }
  /// Dense matrices beside the MLP's, where a method of training has any.
  private let beside = Mutex<DenseCompanion?>(nil)

  package convenience init(_ tensors: [ParameterTensor], initial: [Float], on device: any Device) throws {
    precondition(tensors.last?.range.upperBound == initial.count)
    self.init(
      tensors, values: try device.makeVector(initial), gradients: try device.makeVector(count: initial.count))
  }

  package init(_ tensors: [ParameterTensor], values: Vector, gradients: Vector) {
    precondition(values.count == gradients.count)
    self.tensors = tensors
    self.values = values
    self.gradients = gradients
  }

  package var companion: DenseCompanion? { beside.withLock { $0 } }

  package func setCompanion(_ companion: DenseCompanion?) { beside.withLock { $0 = companion } }

  func branch(of name: String) -> DenseCompanion.Branch? { companion?.branch(of: name) }
}

/// Lays tensors out one after another and draws their first values, each from a stream of its own name.
struct ParameterPlan: Sendable {
  private(set) var tensors: [ParameterTensor] = []
  private var entries: [Entry] = []
  private(set) var count = 0
  private let rule: RateRule
  private let initialization: Initialization

  /// One norm, table or matrix.
  private struct Entry: Sendable {
    let name: String
    let range: Range<Int>
    let tensors: Range<Int>
    let initialize: @Sendable () -> [Float]
  }

  init(rule: RateRule, initialization: Initialization) {
    self.rule = rule
    self.initialization = initialization
  }

  /// All the values, drawn when the model is really made; a dry run never calls this.
  func initialValues() -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(count)
    for entry in entries { values += entry.initialize() }
    return values
  }

  private mutating func append(
    _ name: String, _ parts: [(name: String, shape: [Int], scale: Double)], decays: Bool,
    _ initialize: @escaping @Sendable () -> [Float]
  ) -> Range<Int> {
    let start = count, first = tensors.count
    for part in parts {
      let range = count..<count + part.shape.reduce(1, *)
      tensors.append(
        ParameterTensor(
          name: part.name, shape: part.shape, range: range, learningRateScale: part.scale, decays: decays))
      count = range.upperBound
    }
    entries.append(Entry(name: name, range: start..<count, tensors: first..<tensors.count, initialize: initialize))
    return start..<count
  }

  /// A norm's weight: ones, not decayed.
  mutating func norm(_ name: String, features: Int) -> Range<Int> {
    append(name, [("\(name).weight", [features], 1)], decays: false) { [Float](repeating: 1, count: features) }
  }

  /// A table [V, H] of N(0, deviation^2).
  mutating func table(_ name: String, rows: Int, features: Int, deviation: Double, seed: UInt64) -> Range<Int> {
    append(name, [("\(name).weight", [rows, features], 1)], decays: true) {
      var generator = SeededGenerator(seed: seed, name)
      return (0..<rows * features).map { _ in Float(deviation * generator.normal()) }
    }
  }

  /// A weight matrix; a dense one keeps Hugging Face's plain name and shape.
  ///
  /// A product is zero at first only at the end of a residual branch: were gate and up zero too, no gradient would ever
  /// reach any of the three.
  mutating func linear(
    _ name: String, _ structure: any Structure, endsBranch: Bool = false, gain: Double, seed: UInt64
  ) -> Linear {
    let isKept = initialization == .zeroLast && structure.isProduct && !endsBranch
    let initialization = isKept ? .variance : initialization
    let range = append(name, parts(name, structure), decays: true) {
      var generator = SeededGenerator(seed: seed, name)
      return structure.initialValues(initialization, gain: gain, using: &generator)
        ?? structure.initialValues(gain: gain, using: &generator)
    }
    return Linear(name: name, structure: structure, range: range)
  }

  private func parts(_ name: String, _ structure: any Structure) -> [(name: String, shape: [Int], scale: Double)] {
    if structure is Dense {
      return [("\(name).weight", [structure.shape.outputs, structure.shape.inputs], 1)]
    }
    return structure.layout.map {
      ("\(name).weight.values.\($0.name)", $0.shape, rule.scale($0, of: structure))
    }
  }

  /// The same entries in the same order, those named with other structures; and from the old first place of every entry
  /// its new range. The new matrices' values come from elsewhere: drawn, they would be zeros.
  func replacing(_ structures: [String: any Structure]) -> (plan: ParameterPlan, moved: [Int: Range<Int>]) {
    var plan = ParameterPlan(rule: rule, initialization: initialization)
    var moved: [Int: Range<Int>] = [:]
    for entry in entries {
      if let structure = structures[entry.name] {
        moved[entry.range.lowerBound] = plan.append(entry.name, parts(entry.name, structure), decays: true) {
          [Float](repeating: 0, count: structure.count)
        }
      } else {
        let own = tensors[entry.tensors]
        moved[entry.range.lowerBound] = plan.append(
          entry.name, own.map { ($0.name, $0.shape, $0.learningRateScale) }, decays: own.allSatisfy(\.decays),
          entry.initialize)
      }
    }
    return (plan, moved)
  }
}
