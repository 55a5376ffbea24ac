import Devices
import Model

/// AdamW over a model's arena, with clipping by the global norm (Loshchilov and Hutter 2019, arXiv 1711.05101; PyTorch's
/// order of operations). Norm weights do not decay; structured tensors scale the rate by their structure's rule.
package final class Optimizer: Sendable {
  package let first: Vector
  package let second: Vector
  private let device: any Device
  private let model: Mistral
  private let settings: Settings

  package struct Settings: Sendable {
    package var beta1: Double
    package var beta2: Double
    package var epsilon: Double
    package var weightDecay: Double
    /// The global norm of the gradients is scaled down to this.
    package var clip: Double

    package init(beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, clip: Double) {
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
      self.weightDecay = weightDecay
      self.clip = clip
    }
  }

  package convenience init(_ model: Mistral, _ settings: Settings, on device: any Device) throws {
    self.init(
      model, settings, first: try device.makeVector(count: model.parameters.count),
      second: try device.makeVector(count: model.parameters.count), on: device)
  }

  /// With moments that are there already.
  package init(_ model: Mistral, _ settings: Settings, first: Vector, second: Vector, on device: any Device) {
    precondition(first.count == model.parameters.count && second.count == model.parameters.count)
    self.model = model
    self.settings = settings
    self.device = device
    self.first = first
    self.second = second
  }

  /// The same settings for a model whose patterns have changed.
  package func carried(to model: Mistral, first: Vector, second: Vector) -> Optimizer {
    Optimizer(model, settings, first: first, second: second, on: device)
  }

  /// Applies the gradients and clears them; returns their norm before clipping, a companion's gradients included. A norm
  /// that is not finite is returned and nothing applied. `count` is 1 for the first step.
  ///
  /// What a master stands behind is left to the master. A guide that had no part in the step keeps its values and
  /// moments; `guideCount` says of how many steps with this one it had a part.
  package func step(count: Int, learningRate: Double, guideCount: (String) -> Int = { _ in 1 }) throws -> Double {
    let parameters = model.parameters
    let companion = parameters.companion.flatMap { $0.role == .observer ? nil : $0 }
    var squares = try device.sumOfSquares(parameters.gradients)
    if let companion { squares += try device.sumOfSquares(companion.gradients) }
    let norm = squares.squareRoot()
    guard norm.isFinite else { return norm }
    // The 1e-6 is PyTorch's, so that curves can be compared.
    let scale = min(1, settings.clip / (norm + 1e-6))
    func apply(
      _ tensor: ParameterTensor, count: Int, values: Vector, gradients: Vector, first: Vector, second: Vector
    ) throws {
      let step = AdamWStep(
        learningRate: learningRate * tensor.learningRateScale, beta1: settings.beta1, beta2: settings.beta2,
        epsilon: settings.epsilon, weightDecay: tensor.decays ? settings.weightDecay : 0, gradientScale: scale,
        count: count)
      try device.adamW(
        step, value: values[tensor.range], gradient: gradients[tensor.range], first: first[tensor.range],
        second: second[tensor.range])
    }
    let mastered =
      companion?.role == .master ? model.plan.structuredLinears.map(\.range) : []
    for tensor in parameters.tensors where !mastered.contains(where: { $0.contains(tensor.range.lowerBound) }) {
      try apply(
        tensor, count: count, values: parameters.values, gradients: parameters.gradients, first: first, second: second)
    }
    try device.clear(parameters.gradients)
    guard let companion else { return norm }
    for tensor in companion.tensors where companion.isActive(tensor.name) {
      try apply(
        tensor, count: companion.role == .guide ? guideCount(tensor.name) : count, values: companion.values,
        gradients: companion.gradients, first: companion.first, second: companion.second)
    }
    try device.clear(companion.gradients)
    return norm
  }
}
