import Arrays
import Devices
import Model
import Training

/// A Mistral with its optimiser: the step that is timed beside transformers' MistralForCausalLM.
final class Learner {
  let model: Mistral
  let optimizer: Optimizer
  let device: CPUDevice
  var steps = 0

  init(_ plan: MistralPlan, batch: Int, sequence: Int, on device: CPUDevice) throws {
    self.device = device
    model = try Mistral(plan, batch: batch, sequence: sequence, on: device)
    optimizer = try Optimizer(
      model, Optimizer.Settings(beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clip: .infinity), on: device)
  }
}

@_cdecl("filigree_model")
public func makeModel(
  _ device: UnsafeMutableRawPointer, _ preset: UnsafePointer<CChar>, _ structure: UnsafePointer<CChar>,
  _ density: Double, _ batch: Int32, _ sequence: Int32, _ seed: UInt64
) -> UnsafeMutableRawPointer? {
  bridged(nil) {
    let preset = try Preset.named(String(cString: preset))
    let plan = try MistralPlan(
      preset.architecture, structure: String(cString: structure), density: density, seed: seed)
    return handle(
      try Learner(plan, batch: Int(batch), sequence: Int(sequence), on: object(device, as: CPUDevice.self)))
  }
}

@_cdecl("filigree_model_parameters")
public func modelParameters(_ model: UnsafeMutableRawPointer) -> Int64 {
  Int64(object(model, as: Learner.self).model.parameters.count)
}

/// Reads (`write` = 0) or replaces one tensor by its Hugging Face name; returns its count, -1 when there is none.
@_cdecl("filigree_model_tensor")
public func modelTensor(
  _ model: UnsafeMutableRawPointer, _ name: UnsafePointer<CChar>, _ numbers: UnsafeMutablePointer<Float>?,
  _ write: Int32
) -> Int64 {
  let learner = object(model, as: Learner.self), name = String(cString: name)
  guard let tensor = learner.model.parameters.tensors.first(where: { $0.name == name }) else { return -1 }
  if let numbers {
    let part = learner.model.parameters.values[tensor.range]
    if write == 1 {
      learner.device.write(UnsafeBufferPointer(start: numbers, count: part.count), to: part)
    } else {
      learner.device.read(part, into: UnsafeMutableBufferPointer(start: numbers, count: part.count))
    }
  }
  return Int64(tensor.range.count)
}

/// One step: forward, backward, AdamW. Returns the loss, NaN when it failed.
@_cdecl("filigree_model_step")
public func modelStep(
  _ model: UnsafeMutableRawPointer, _ inputs: UnsafePointer<Int32>, _ targets: UnsafePointer<Int32>, _ rate: Double
) -> Double {
  bridged(.nan) {
    let learner = object(model, as: Learner.self)
    let count = learner.model.batch * learner.model.sequence
    let loss = try learner.model.lossAndGradients(
      inputs: Array(UnsafeBufferPointer(start: inputs, count: count)),
      targets: Array(UnsafeBufferPointer(start: targets, count: count)))
    learner.steps += 1
    _ = try learner.optimizer.step(count: learner.steps, learningRate: rate)
    return loss
  }
}
