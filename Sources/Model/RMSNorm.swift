import Devices

/// y = x / sqrt(mean(x^2) + epsilon) * weight, over the features of a token (Zhang and Sennrich 2019, arXiv 1910.07467).
package struct RMSNorm: Sendable {
  let range: Range<Int>
  let epsilon: Float

  func forward(
    _ x: Activations, _ parameters: Parameters, into y: Activations, inverse: Activations, on device: any Device
  ) throws {
    try device.rmsNorm(x, weight: parameters.values[range], epsilon: epsilon, into: y, inverse: inverse)
  }

  /// dx += the gradient; the norm sits beside a residual connection, whose gradient dx already holds.
  func backward(
    _ dy: Activations, x: Activations, inverse: Activations, _ parameters: Parameters, dx: Activations,
    accumulate: Bool = true, on device: any Device
  ) throws {
    try device.rmsNormGradient(
      x, weight: parameters.values[range], inverse: inverse, dy: dy, into: dx, accumulate: accumulate,
      dweight: parameters.gradients[range])
  }
}
