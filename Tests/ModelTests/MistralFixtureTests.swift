import Arrays
import Checkpoints
import Devices
import Testing

@testable import Model
@testable import Training

/// The model against Hugging Face transformers: layer by layer, gradient by gradient, and ten steps of training.
@Suite struct MistralFixtureTests {
  @Test("Every activation of every layer is transformers'", arguments: Fixture.all)
  func activations(_ fixture: Fixture) throws {
    let file = try fixture.tensors()
    let run = try Run(fixture, file)
    let depth = fixture.depth(sequence: run.sequence)
    for (index, state) in run.model.state.layers.enumerated() {
      let pairs = [
        ("input", state.input), ("normed1", state.normed1), ("q", state.attention.q), ("k", state.attention.k),
        ("v", state.attention.v), ("attention", state.attention.attended), ("middle", state.middle),
        ("normed2", state.normed2),
        (
          "output",
          index + 1 < run.model.state.layers.count ? run.model.state.layers[index + 1].input : run.model.state.output
        ),
      ]
      for (name, activations) in pairs {
        let expected = try file.doubles("layers/\(index)/\(name)")
        expectNear(try run.rows(activations), expected, depth: depth, "layers/\(index)/\(name)")
      }
    }
    expectNear(try run.rows(run.model.state.final), try file.doubles("final"), depth: depth, "final")
  }

  @Test("Logits and loss are transformers'", arguments: Fixture.all)
  func logits(_ fixture: Fixture) throws {
    let file = try fixture.tensors()
    let run = try Run(fixture, file)
    let depth = fixture.depth(sequence: run.sequence)
    var logits: [Float] = []
    let targets = run.targets + [Int32](repeating: -1, count: run.model.state.final.tokens - run.targets.count)
    _ = try run.model.plan.outputLoss.run(
      run.model.state.final, targets: targets, scale: 1, run.model.parameters, df: nil,
      logits: { logits += try run.device.rows($0) }, on: run.device)
    let features = fixture.architecture.vocabularySize
    let padded = run.model.state.final.tokens / run.batch
    let kept = (0..<run.batch).flatMap { logits[$0 * padded * features..<($0 * padded + run.sequence) * features] }
    expectNear(kept, try file.doubles("logits"), depth: depth, "logits")
    let loss = try file.doubles("loss")[0]
    #expect(abs(run.loss - loss) <= RoundingBound.gamma(depth) * loss)
  }

  @Test("Every gradient is transformers'", arguments: Fixture.all)
  func gradients(_ fixture: Fixture) throws {
    let file = try fixture.tensors()
    let run = try Run(fixture, file)
    let depth = fixture.depth(sequence: run.sequence) + 2 * run.batch * run.sequence
    for tensor in run.model.parameters.tensors {
      let got = try run.device.numbers(run.model.parameters.gradients[tensor.range])
      expectNear(got, try file.doubles("gradients/\(tensor.name)"), depth: depth, tensor.name)
    }
    // After the backward pass dx holds the gradient of the first layer's input.
    expectNear(
      try run.rows(run.model.state.dx), try file.doubles("activation_gradients/layers/0/input"), depth: depth,
      "input gradient")
  }

  @Test(
    "With a structured MLP that holds the same matrices, the loss and the gradients around it are transformers'",
    arguments: Fixture.all.filter { $0.name == "gqa" }, ["bsr-16", "csr", "blockdiagonal-1", "monarch-1", "lowrank-32"])
  func structured(_ fixture: Fixture, _ structure: String) throws {
    let file = try fixture.tensors()
    let run = try Run(fixture, file, structure: structure)
    // Factors come from a decomposition and are rounded: the same bound with their roundings added.
    let depth = 2 * fixture.depth(sequence: run.sequence) + 2 * run.batch * run.sequence
    let loss = try file.doubles("loss")[0]
    #expect(abs(run.loss - loss) <= RoundingBound.gamma(depth) * loss)
    for tensor in run.model.parameters.tensors where file.tensors["gradients/\(tensor.name)"] != nil {
      let got = try run.device.numbers(run.model.parameters.gradients[tensor.range])
      expectNear(got, try file.doubles("gradients/\(tensor.name)"), depth: depth, tensor.name)
    }
    // Where the values are the matrix's own entries, so are their gradients.
    guard ["bsr-16", "csr", "blockdiagonal-1"].contains(structure) else { return }
    for linear in run.model.plan.mlpLinears {
      let got = try run.device.numbers(run.model.parameters.gradients[linear.range])
      let expected = linear.structure.project(try file.doubles("gradients/\(linear.name).weight")).map(Double.init)
      expectNear(got, expected, depth: depth, linear.name)
    }
  }

  @Test("Token losses of one sequence are transformers' scores", arguments: Fixture.all)
  func score(_ fixture: Fixture) throws {
    let file = try fixture.tensors()
    let tokens = try file.int32s("score/tokens")
    let (model, _) = try fixture.model(batch: 1, sequence: tokens.count - 1)
    let losses = try model.tokenLosses(inputs: Array(tokens.dropLast()), targets: Array(tokens.dropFirst()))
    expectNear(losses, try file.doubles("score/nll"), depth: fixture.depth(sequence: tokens.count), "nll")
  }

  @Test(
    "Ten steps of AdamW with clipping follow transformers' and PyTorch's losses, norms and weights",
    arguments: Fixture.all)
  func trace(_ fixture: Fixture) throws {
    let trace = try fixture.tensors(".trace")
    let tokens = try trace.int32s("trace/tokens")
    let shape = try #require(trace.tensors["trace/tokens"]).shape
    let steps = shape[0], batch = shape[1], sequence = shape[2] - 1
    let (model, device) = try fixture.model(batch: batch, sequence: sequence)
    let optimizer = try Optimizer(
      model, Optimizer.Settings(beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clip: 1), on: device)
    let schedule = LearningRateSchedule(peak: 1e-2, warmup: 3, steps: steps, finalFraction: 0.1)
    let losses = try trace.doubles("trace/loss"), norms = try trace.doubles("trace/gradient_norm")
    let rates = try trace.doubles("trace/learning_rate")
    let size = batch * (sequence + 1)
    for step in 0..<steps {
      let part = Fixture.split(tokens[step * size..<(step + 1) * size], batch: batch, sequence: sequence)
      let loss = try model.lossAndGradients(inputs: part.inputs, targets: part.targets)
      #expect(abs(schedule.rate(step: step) - rates[step]) <= 1e-15)
      let norm = try optimizer.step(count: step + 1, learningRate: schedule.rate(step: step))
      // Rounding of all steps so far.
      let gamma = RoundingBound.gamma((step + 1) * (fixture.depth(sequence: sequence) + 2 * batch * sequence))
      #expect(abs(loss - losses[step]) <= gamma * losses[step], "loss of step \(step)")
      #expect(abs(norm - norms[step]) <= gamma * norms[step], "norm of step \(step)")
    }
    let depth = steps * (fixture.depth(sequence: sequence) + 2 * batch * sequence)
    for tensor in model.parameters.tensors {
      let got = try device.numbers(model.parameters.values[tensor.range])
      expectNear(got, try trace.doubles("trace/weights/\(tensor.name)"), depth: depth, tensor.name)
    }
  }

  @Test("A training step has the same bits with 1, 2 and 7 threads", arguments: Fixture.all)
  func determinism(_ fixture: Fixture) throws {
    let file = try fixture.tensors()
    func gradients(_ threads: Int) throws -> [Float] {
      let run = try Run(fixture, file, threads: threads)
      return try run.device.numbers(run.model.parameters.gradients) + [Float(run.loss)]
    }
    let one = try gradients(1)
    #expect(try gradients(2) == one)
    #expect(try gradients(7) == one)
  }
}

/// A fixture's batch through the model, forward and backward.
private struct Run {
  let model: Mistral
  let device: CPUDevice
  let batch: Int
  let sequence: Int
  let targets: [Int32]
  let loss: Double

  init(_ fixture: Fixture, _ file: Safetensors, threads: Int = 2, structure: String = "dense") throws {
    let shape = try #require(file.tensors["tokens"]).shape
    batch = shape[0]
    sequence = shape[1] - 1
    (model, device) = try fixture.model(
      batch: batch, sequence: sequence, threads: threads, structure: structure)
    let part = Fixture.split(try file.int32s("tokens")[...], batch: batch, sequence: sequence)
    targets = part.targets
    loss = try model.lossAndGradients(inputs: part.inputs, targets: part.targets)
  }

  /// The real tokens' rows, without the padding.
  func rows(_ activations: Activations) throws -> [Float] {
    let rows = try device.rows(activations), padded = activations.tokens / batch
    return (0..<batch).flatMap {
      rows[$0 * padded * activations.features..<($0 * padded + sequence) * activations.features]
    }
  }
}
