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

  package init(_ model: Mistral, _ settings: Settings, on device: any Device) throws {
    self.model = model
    self.settings = settings
    self.device = device
    first = try device.makeVector(count: model.parameters.count)
    second = try device.makeVector(count: model.parameters.count)
  }

  /// Applies the gradients and clears them; returns their norm before clipping. `count` is 1 for the first step.
  package func step(count: Int, learningRate: Double) throws -> Double {
    let parameters = model.parameters
    let norm = try device.sumOfSquares(parameters.gradients).squareRoot()
    // The 1e-6 is PyTorch's, so that curves can be compared.
    let scale = min(1, settings.clip / (norm + 1e-6))
    for tensor in parameters.tensors {
      let step = AdamWStep(
        learningRate: learningRate * tensor.learningRateScale, beta1: settings.beta1, beta2: settings.beta2,
        epsilon: settings.epsilon, weightDecay: tensor.decays ? settings.weightDecay : 0, gradientScale: scale,
        count: count)
      try device.adamW(
        step, value: parameters.values[tensor.range], gradient: parameters.gradients[tensor.range],
        first: first[tensor.range], second: second[tensor.range])
    }
    try device.clear(parameters.gradients)
    return norm
  }
}
