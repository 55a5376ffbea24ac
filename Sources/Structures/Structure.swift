import Arrays
import Devices
import Foundation

/// A family of O x I matrices stored, multiplied and differentiated without its zeros.
///
/// A value of the type is one member: its shape and its immutable pattern. The numbers are a flat vector owned by
/// somebody else (the model's arena, a checkpoint), so that optimiser, clipping and checkpoint know no structure.
public protocol Structure: Sendable {
  static var card: Card { get }
  /// "bsr-32", "lowrank-64": the family and the parameters that name this member among its family.
  var label: String { get }
  var shape: Shape { get }
  /// The family's card, but for a member that stands for another (see ``Padded``).
  var card: Card { get }
  /// Weights that can be other than zero / (O I): the stored ones, but for a family that stores zeros.
  var density: Double { get }
  /// The fraction of the padded matrix's entries that only fill the shape up to whole blocks and reach no real feature.
  var padding: Double { get }

  /// Members of the family for this shape, each as near to `density` as it can be and not above; empty when there is
  /// none. Random patterns come from `seed`.
  static func members(of shape: Shape, density: Double, seed: UInt64) -> [Self]
  /// The member named by the text after "family-" in a label ("" for none); `density` counts where the label leaves it
  /// open.
  /// - Throws: a `Refusal` that says why this shape or density has no such member.
  init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws
  /// The member that a checkpoint describes. The pattern comes from outside: everything is checked.
  init(parameters: String, shape: Shape, pattern: Pattern) throws
  /// The least shape around `shape` that the label can have: larger where blocks do not divide the sides.
  static func paddedShape(parameters: String, shape: Shape) throws -> Shape
  /// Hidden units that a gated MLP of this family has where a dense one has `width`; fewer for the family that is a
  /// narrower MLP.
  static func hiddenUnits(of width: Int, density: Double) -> Int
  /// A member like this one that reads only the inputs marked true, as far as its pattern is free; else self.
  func reading(only inputs: [Bool], seed: UInt64) -> Self

  var pattern: Pattern { get }
  /// The named tensors inside the flat values, in order and without gaps.
  var layout: [TensorLayout] { get }
  /// Features of the inner activations that `forward` keeps for `backward`; 0 for most.
  var savedFeatures: Int { get }

  /// THE definition: the dense matrix, row-major [O, I], that these values stand for. Written to be read; the oracle of
  /// every test and of every benchmark's verification.
  func materialize(_ values: [Float]) -> [Double]
  /// For every entry of ``materialize(_:)`` a bound of all partial sums that a product may form on its way; what rounding
  /// bounds are made of.
  func absolute(_ values: [Float]) -> [Double]
  /// Random values with var(y) = gain^2 var(x) for inputs of independent entries.
  func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float]
  /// Those that it has.
  var initializations: [Initialization] { get }
  /// The same by a published initialisation; nil where the structure has none of that name.
  func initialValues(
    _ initialization: Initialization, gain: Double, using generator: inout SeededGenerator
  ) -> [Float]?
  /// The same family, parameters and number of values, with the pattern that keeps most of the sum of `scores` [O, I];
  /// self where the pattern is fixed.
  func repatterned(for scores: [Double]) -> Self
  /// The values of this pattern nearest to the dense matrix [O, I] in the Frobenius norm; where there is no closed form,
  /// values from alternating least squares, and `projectsExactly` is false.
  func project(_ dense: [Double]) -> [Float]
  static var projectsExactly: Bool { get }

  /// y (+)= W x.  `saved` has `savedFeatures` features, or is nil where that is 0.
  func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device) throws
  /// dx (+)= W' dy and dvalues += the pull-back of dy x' to the values; either is left out when nil.
  func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device) throws
  func cost(tokens: Int) -> Cost
  /// Outputs whose row has a stored weight, and inputs whose column has one.
  var liveOutputs: [Bool] { get }
  var liveInputs: [Bool] { get }
}

extension Structure {
  /// Stored weights.
  public var count: Int { layout.reduce(0) { $0 + $1.count } }
  public var card: Card { Self.card }
  public var density: Double { Double(count) / Double(shape.count) }
  public var padding: Double { 0 }
  /// The part of the label after "family-".
  public var parameters: String {
    let family = card.family
    return label == family ? "" : String(label.dropFirst(family.count + 1))
  }

  public static func paddedShape(parameters: String, shape: Shape) throws -> Shape { shape }
  public static func hiddenUnits(of width: Int, density: Double) -> Int { width }
  public func reading(only inputs: [Bool], seed: UInt64) -> Self { self }
  public var savedFeatures: Int { 0 }
  public static var projectsExactly: Bool { true }
  /// Where every entry of W is a sum of products of values.
  public func absolute(_ values: [Float]) -> [Double] { materialize(values.map(abs)) }
  /// |dense - materialize(values)| / |dense|, Frobenius norms: what a projection lost.
  public func residual(of values: [Float], to dense: [Double]) -> Double {
    var lost = 0.0, whole = 0.0
    for (a, b) in zip(materialize(values), dense) {
      lost += (a - b) * (a - b)
      whole += b * b
    }
    return whole > 0 ? (lost / whole).squareRoot() : 0
  }
  public func repatterned(for scores: [Double]) -> Self { self }
  public var liveOutputs: [Bool] { [Bool](repeating: true, count: shape.outputs) }
  public var liveInputs: [Bool] { [Bool](repeating: true, count: shape.inputs) }

  /// The cost of a structure whose flops are two for each stored value.
  public func cost(tokens: Int) -> Cost {
    Cost(
      flops: 2 * count * tokens, valueBytes: 4 * count, indexBytes: pattern.byteCount,
      activationBytes: 4 * tokens * (shape.outputs + shape.inputs), savedBytes: 4 * tokens * savedFeatures)
  }

  /// The members of these labels that this shape and density have.
  static func members(
    _ parameters: [String], of shape: Shape, density: Double, seed: UInt64
  ) -> [Self] {
    parameters.compactMap { try? Self(parameters: $0, shape: shape, density: density, seed: seed) }
  }

  public static func refusal(_ parameters: String, _ shape: Shape, _ why: String) -> Refusal {
    let label = parameters.isEmpty ? card.family : "\(card.family)-\(parameters)"
    return .badInput("\(label) has no member of shape \(shape): \(why)")
  }

  /// A whole number above zero out of a label.
  static func positive(_ text: Substring, of parameters: String) throws -> Int {
    guard let number = Int(text), (1...1 << 24).contains(number), String(number) == text else {
      throw Refusal.badInput(
        "'\(card.family)-\(parameters)' is not a label: write \(card.grammar) with whole numbers above zero")
    }
    return number
  }

  public static func positive(_ parameters: String) throws -> Int {
    try positive(Substring(parameters), of: parameters)
  }

  public static func requireNoParameters(_ parameters: String) throws {
    guard parameters.isEmpty else {
      throw Refusal.badInput("'\(card.family)-\(parameters)' is not a label: \(card.family) takes no parameters")
    }
  }
}

/// Learning-rate multipliers relative to a dense matrix of the same shape.
public enum LearningRateRule {
  /// exp(1.969 s^2 + 0.2905 s), s = 1 - density: fitted on sparse BERT pre-training, unstructured and 16 x 16 blocks
  /// (Dietrich et al. 2021, arXiv 2108.06277). Within 12 % of 1 / density (Dey et al. 2024, arXiv 2405.15743) up to
  /// s = 0.8, and more careful beyond.
  public static func masked(density: Double) -> Double {
    let s = max(0, 1 - density)
    return exp(1.969 * s * s + 0.2905 * s)
  }

  /// (inputs of the dense matrix / inputs of the factor's blocks) / factors (Qiu et al. 2024, arXiv 2406.06248).
  public static func factor(denseInputs: Int, blockInputs: Int, factors: Int) -> Double {
    Double(denseInputs) / Double(blockInputs) / Double(factors)
  }
}
