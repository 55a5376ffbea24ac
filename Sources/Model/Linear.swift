import Devices
import Structures

/// y = W x for one weight matrix of any structure.
package struct Linear: Sendable {
  package let name: String
  package let structure: any Structure
  /// Where the values lie in the model's flat vectors.
  package let range: Range<Int>

  /// Inner activations for `tokens` tokens, where the structure keeps any.
  func makeSaved(tokens: Int, on device: any Device) throws -> Activations? {
    structure.savedFeatures == 0
      ? nil : try device.makeActivations(tokens: tokens, features: structure.savedFeatures)
  }

  func forward(
    _ x: Activations, _ parameters: Parameters, saved: Activations? = nil, into y: Activations,
    accumulate: Bool = false, on device: any Device
  ) throws {
    try structure.forward(
      x, values: parameters.values[range], saved: saved, into: y, accumulate: accumulate, on: device)
  }

  /// dx (+)= W' dy, dvalues += the gradient of the values.
  func backward(
    _ dy: Activations, x: Activations, _ parameters: Parameters, saved: Activations? = nil, dx: Activations,
    accumulate: Bool = false, on device: any Device
  ) throws {
    try structure.backward(
      dy, x: x, values: parameters.values[range], saved: saved, dx: dx, accumulate: accumulate,
      dvalues: parameters.gradients[range], on: device)
  }
}
