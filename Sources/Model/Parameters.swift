import Arrays
import Devices
import Structures

/// The model's arena: every value in one flat vector, every gradient in another of the same layout.
public final class Parameters: Sendable {
  public let tensors: [ParameterTensor]
  public let values: Vector
  public let gradients: Vector
  public var count: Int { values.count }

  init(_ tensors: [ParameterTensor], initial: [Float], on device: any Device) throws {
    precondition(tensors.last?.range.upperBound == initial.count)
    self.tensors = tensors
    values = try device.makeVector(initial)
    gradients = try device.makeVector(count: initial.count)
  }
}

/// Lays tensors out one after another and draws their first values, each from a stream of its own name.
struct ParameterPlan {
  private(set) var tensors: [ParameterTensor] = []
  private var initializers: [@Sendable () -> [Float]] = []
  private(set) var count = 0

  /// All the values, drawn when the model is really made; a dry run never calls this.
  func initialValues() -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(count)
    for initialize in initializers { values += initialize() }
    return values
  }

  private mutating func append(
    _ name: String, _ shape: [Int], scale: Double = 1, decays: Bool
  ) -> Range<Int> {
    let range = count..<count + shape.reduce(1, *)
    tensors.append(
      ParameterTensor(name: name, shape: shape, range: range, learningRateScale: scale, decays: decays))
    count = range.upperBound
    return range
  }

  /// A norm's weight: ones, not decayed.
  mutating func norm(_ name: String, features: Int) -> Range<Int> {
    initializers.append { [Float](repeating: 1, count: features) }
    return append("\(name).weight", [features], decays: false)
  }

  /// A table [V, H] of N(0, deviation^2).
  mutating func table(_ name: String, rows: Int, features: Int, deviation: Double, seed: UInt64) -> Range<Int> {
    initializers.append {
      var generator = SeededGenerator(seed: seed, name)
      return (0..<rows * features).map { _ in Float(deviation * generator.normal()) }
    }
    return append("\(name).weight", [rows, features], decays: true)
  }

  /// A weight matrix; a dense one keeps Hugging Face's plain name and shape.
  mutating func linear(_ name: String, _ structure: any Structure, gain: Double, seed: UInt64) -> Linear {
    initializers.append {
      var generator = SeededGenerator(seed: seed, name)
      return structure.initialValues(gain: gain, using: &generator)
    }
    let start = count
    if structure is Dense {
      _ = append("\(name).weight", [structure.shape.outputs, structure.shape.inputs], decays: true)
    } else {
      for tensor in structure.layout {
        _ = append(
          "\(name).weight.values.\(tensor.name)", tensor.shape, scale: tensor.learningRateScale, decays: true)
      }
    }
    return Linear(name: name, structure: structure, range: start..<count)
  }
}
