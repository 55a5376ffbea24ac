import Arrays
import Devices
import Measuring
import Model
import Records
import Structures

/// What a training step takes, from products that are timed now: those of every kind of MLP matrix, and one dense one, whose
/// rate stands for all that is dense. The optimiser moves its numbers at the speed of memory; norms, activations and
/// softmax do not count.
package struct StepEstimate {
  /// Of one timed product, so that an estimate takes seconds.
  private static let mostFlops = 2e9
  private static let mostTokens = 2048
  /// Larger matrices and activations are not made for an estimate: numbers in each.
  private static let mostNumbers = 1 << 24
  /// Seconds for the three products of a matrix.
  private static let budget = 0.1
  /// Read for the norm, gradient, value and moments read, three of them written, gradients cleared and added to.
  private static let optimiserBytes = 4.0 * 11

  private let device: any Device
  private let seed: UInt64

  package init(seed: UInt64, on device: any Device) {
    self.device = device
    self.seed = seed
  }

  /// Seconds a step; nil where the model does not fit this machine, or a matrix is too large to be made for this.
  package func seconds(of run: RunPlan) throws -> Double? {
    let plan = run.model
    let dense = Dense(shape: Shape(outputs: plan.architecture.intermediateSize, inputs: plan.architecture.hiddenSize))
    guard !run.record.exceedsMemory, (plan.mlpLinears.map(\.structure) + [dense]).allSatisfy(Self.isSmall) else {
      return nil
    }
    do {
      return try seconds(of: run, dense: dense)
    } catch is Refusal {
      // What the device cannot compute or hold is refused where it is trained, and says so better.
      return nil
    }
  }

  private static func isSmall(_ structure: any Structure) -> Bool {
    structure.shape.count <= mostNumbers && 16 * (structure.shape.outputs + structure.shape.inputs) <= mostNumbers
  }

  private func seconds(of run: RunPlan, dense: Dense) throws -> Double {
    let plan = run.model, c = run.record.configuration, tokens = c.batch * c.sequence
    var rates: [String: Double] = [:]
    func rate(_ structure: any Structure) throws -> Double {
      let key = "\(structure.label) \(structure.shape)"
      if let known = rates[key] { return known }
      let found = try flopsPerSecond(structure, tokens: tokens)
      rates[key] = found
      return found
    }
    var seconds = 0.0
    var rest = plan.flopsPerStep(batch: c.batch, sequence: c.sequence)
    for linear in plan.mlpLinears {
      let flops = MistralPlan.flops(linear.structure, tokens: tokens)
      seconds += try flops / rate(linear.structure)
      rest -= flops
    }
    seconds += try rest / rate(dense)
    seconds += Self.optimiserBytes * Double(plan.parameterCount) / run.record.machine.bytesPerSecond
    // What a method or a guide adds is as fast as the rest.
    let added = run.record.trainingFlops.map { $0 / Double(c.steps) / run.record.flopsPerStep } ?? 1
    return seconds * added
  }

  /// Of forward and backward together, as they are counted: a step computes what passes between factors once.
  private func flopsPerSecond(_ structure: any Structure, tokens: Int) throws -> Double {
    let shape = structure.shape
    let affordable = min(
      Int(Self.mostFlops / Double(2 * structure.count)), Self.mostNumbers / (shape.outputs + shape.inputs))
    let timed = max(1, min(tokens, Self.mostTokens, max(16, affordable / 16 * 16)))
    let cell = try BenchCell(structure, tokens: timed, seed: seed, on: device)
    let times = try Sampler.interleave(
      DenseProduct.allCases.map { pass in (pass.rawValue, { try cell.run(pass) }) }, minimumRepeats: 3,
      budget: Self.budget)
    return MistralPlan.flops(structure, tokens: timed) / times.reduce(0) { $0 + $1.seconds }
  }
}
