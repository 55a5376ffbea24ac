import Arrays
import Checkpoints
import FakeCUDA
import Foundation
import Testing

@testable import Devices
@testable import Model
@testable import Training

/// The model on the CUDA device against Hugging Face transformers: the fixtures of the model's own tests.
@Suite struct MistralOnCUDATests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../ModelTests/Fixtures")

  private static func architecture(_ name: String) -> Architecture {
    name == "gqa"
      ? Architecture(
        hiddenSize: 32, intermediateSize: 48, layers: 2, heads: 4, keyValueHeads: 2, headDimension: 8,
        vocabularySize: 67, slidingWindow: nil, initializerRange: 0.15)
      : Architecture(
        hiddenSize: 24, intermediateSize: 40, layers: 2, heads: 2, keyValueHeads: 2, headDimension: 16,
        vocabularySize: 61, ropeTheta: 1000, slidingWindow: 11, tiedEmbeddings: true, initializerRange: 0.15)
  }

  private func file(_ name: String, _ part: String = "") throws -> Safetensors {
    try Safetensors(contentsOf: Self.folder.appendingPathComponent("mistral-\(name)\(part).safetensors"))
  }

  private func model(_ name: String, batch: Int, sequence: Int, on device: CUDADevice) throws -> Mistral {
    let plan = try MistralPlan(Self.architecture(name), structure: "dense", density: 1, seed: 1)
    let model = try Mistral(plan, batch: batch, sequence: sequence, on: device)
    let file = try file(name)
    for tensor in model.parameters.tensors {
      let numbers = try file.floats("weights/\(tensor.name)", shape: tensor.shape)
      try numbers.withUnsafeBufferPointer { try device.write($0, to: model.parameters.values[tensor.range]) }
    }
    return model
  }

  /// Roundings on the longest path through the model and back: every sum's length, twice over for the gradients.
  private func depth(_ a: Architecture, sequence: Int) -> Int {
    let layer = 4 * a.hiddenSize + 2 * a.heads * a.headDimension + a.headDimension + sequence + 2 * a.intermediateSize
    return 2 * (a.layers * layer + a.hiddenSize + a.vocabularySize)
  }

  /// As a share of a tensor's largest entry: all fp32 roundings of the path; in bf16 also one for each activation stored and
  /// each weight read, 24 a layer and way and 6 around the layers, half of which add up by chance rather than in step.
  private func tolerance(_ a: Architecture, _ sequence: Int, _ precision: CUDAPrecision, tokens: Int) -> Double {
    let fp32 = RoundingBound.gamma(depth(a, sequence: sequence) + 2 * tokens)
    guard precision == .bf16 else { return fp32 }
    return fp32 + Double(2 * (24 * a.layers + 6)).squareRoot() * 2 * precision.unitRoundoff
  }

  private func expectNear(_ got: [Float], _ expected: [Double], _ tolerance: Double, _ what: String) {
    let size = expected.reduce(0) { max($0, abs($1)) }
    expectWithin(got, expected, [Double](repeating: tolerance * size, count: expected.count), what)
  }

  private func split(_ tokens: [Int32], batch: Int, sequence: Int) -> (inputs: [Int32], targets: [Int32]) {
    let rows = (0..<batch).map { Array(tokens[$0 * (sequence + 1)..<($0 + 1) * (sequence + 1)]) }
    return (rows.flatMap { $0.dropLast() }, rows.flatMap { $0.dropFirst() })
  }

  @Test(
    "Loss and every gradient are transformers'", arguments: ["gqa", "window"],
    [CUDAPrecision.fp32, .bf16])
  func gradients(_ name: String, _ precision: CUDAPrecision) throws {
    fake_reset()
    do {
      let file = try file(name), shape = try #require(file.tensors["tokens"]).shape
      let batch = shape[0], sequence = shape[1] - 1, device = try fakeDevice(precision)
      let model = try model(name, batch: batch, sequence: sequence, on: device)
      let part = split(try file.int32s("tokens"), batch: batch, sequence: sequence)
      let loss = try model.lossAndGradients(inputs: part.inputs, targets: part.targets)
      let tolerance = tolerance(Self.architecture(name), sequence, precision, tokens: batch * sequence)
      let expected = try file.doubles("loss")[0]
      #expect(abs(loss - expected) <= tolerance * expected)
      for tensor in model.parameters.tensors {
        let got = try device.numbers(model.parameters.gradients[tensor.range])
        expectNear(got, try file.doubles("gradients/\(tensor.name)"), tolerance, tensor.name)
      }
      // The same again: the same bits.
      let before = try device.numbers(model.parameters.gradients)
      try device.clear(model.parameters.gradients)
      #expect(try model.lossAndGradients(inputs: part.inputs, targets: part.targets) == loss)
      #expect(try device.numbers(model.parameters.gradients) == before)
    }
    #expect(fake_live_allocations() == 0 && fake_live_objects() == 0 && fake_damaged_guards() == 0)
  }

  @Test("Logits for as many tokens as memory has room for: the same losses, and the GPU is waited for once a step")
  func pieces() throws {
    let batch = 5, sequence = 128
    let architecture = Architecture(
      hiddenSize: 16, intermediateSize: 16, layers: 1, heads: 1, keyValueHeads: 1, headDimension: 16,
      vocabularySize: 4096, initializerRange: 0.2)
    let plan = try MistralPlan(architecture, structure: "csr", density: 0.5, seed: 1)
    let tokens = (0..<batch * (sequence + 1)).map { Int32($0 * 131 % 4096) }
    let part = split(tokens, batch: batch, sequence: sequence)
    func run(_ device: any Device) throws -> (losses: [Float], loss: Double, gradients: [Float]) {
      let model = try Mistral(plan, batch: batch, sequence: sequence, on: device)
      let losses = try model.tokenLosses(inputs: part.inputs, targets: part.targets)
      let before = [fake_calls("cuStreamSynchronize"), fake_calls("cuMemcpyDtoHAsync_v2")]
      let loss = try model.lossAndGradients(inputs: part.inputs, targets: part.targets)
      let waits = device is CPUDevice ? 0 : 1
      #expect(
        [fake_calls("cuStreamSynchronize"), fake_calls("cuMemcpyDtoHAsync_v2")] == before.map { $0 + Int32(waits) })
      return (losses, loss, try device.numbers(model.parameters.gradients))
    }
    func run(bytes: Int, pieces: Int) throws -> (losses: [Float], loss: Double, gradients: [Float]) {
      fake_reset()
      fake_set_memory(bytes)
      let device = try fakeDevice(.fp32), chunk = device.tokensOfLogits(vocabulary: 4096)
      #expect((batch * sequence + chunk - 1) / chunk == pieces)
      let result = try run(device)
      // In each of the two calls, a launch for every piece.
      #expect(fake_launches("loss_gradient") == Int32(2 * pieces))
      return result
    }
    let few = try run(bytes: 64 << 20, pieces: 3), all = try run(bytes: 1 << 30, pieces: 1)
    #expect(few.losses == all.losses)
    let expected = try run(CPUDevice(threads: 1))
    let tolerance = tolerance(architecture, sequence, .fp32, tokens: batch * sequence)
    #expect(abs(few.loss - expected.loss) <= tolerance * expected.loss)
    expectNear(few.losses, expected.losses.doubles, tolerance, "losses")
    for tensor in plan.tensors {
      let exact = Array(expected.gradients[tensor.range]).doubles
      expectNear(Array(few.gradients[tensor.range]), exact, tolerance, "in pieces: \(tensor.name)")
      expectNear(Array(all.gradients[tensor.range]), exact, tolerance, "at once: \(tensor.name)")
    }
  }

  @Test(
    "Steps of AdamW follow transformers' losses and norms; in bf16 within its rounding",
    arguments: [CUDAPrecision.fp32, .bf16])
  func trace(_ precision: CUDAPrecision) throws {
    fake_reset()
    let name = "gqa", trace = try file(name, ".trace"), tokens = try trace.int32s("trace/tokens")
    let shape = try #require(trace.tensors["trace/tokens"]).shape, batch = shape[1], sequence = shape[2] - 1
    let device = try fakeDevice(precision)
    let model = try model(name, batch: batch, sequence: sequence, on: device)
    let optimizer = try Optimizer(
      model, Optimizer.Settings(beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clip: 1), on: device)
    let schedule = LearningRateSchedule(peak: 1e-2, warmup: 3, steps: shape[0], finalFraction: 0.1)
    let losses = try trace.doubles("trace/loss"), norms = try trace.doubles("trace/gradient_norm")
    let size = batch * (sequence + 1)
    for step in 0..<4 {
      let part = split(Array(tokens[step * size..<(step + 1) * size]), batch: batch, sequence: sequence)
      let loss = try model.lossAndGradients(inputs: part.inputs, targets: part.targets)
      let norm = try optimizer.step(count: step + 1, learningRate: schedule.rate(step: step))
      // The roundings of all steps so far.
      let bound = Double(step + 1) * tolerance(Self.architecture(name), sequence, precision, tokens: batch * sequence)
      #expect(abs(loss - losses[step]) <= bound * losses[step], "loss of step \(step)")
      #expect(abs(norm - norms[step]) <= bound * norms[step], "norm of step \(step)")
    }
  }
}
