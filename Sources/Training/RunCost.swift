import Arrays
import Model
import Records
import Sparsifying
import Structures

/// What a run does and holds, step by step, as far as configuration and seed decide it: all of it.
package struct RunCost: Sendable {
  private let target: MistralPlan
  private let batch: Int
  private let sequence: Int
  private let steps: Int
  private let base: Double
  private let method: (any SparsifyingMethod)?
  private let sites: [String: Sites]
  private let guide: SelfGuide?

  /// Steps of a run for which a method's costs are added up one by one.
  static let mostSteps = 1 << 20

  package init(_ c: TrainingConfiguration, target: MistralPlan, seed: UInt64) throws {
    self.target = target
    (batch, sequence, steps) = (c.batch, c.sequence, c.steps)
    base = target.flopsPerStep(batch: c.batch, sequence: c.sequence)
    if let settings = c.method {
      let type = try Methods.named(settings.name)
      method = type.init(settings, steps: c.steps)
      sites = try Sparsifier.sites(of: target, for: type)
    } else {
      (method, sites) = (nil, [:])
    }
    guide = c.selfGuided == true ? SelfGuide(steps: c.steps, seed: seed) : nil
    guard method == nil && guide == nil || c.steps <= RunCost.mostSteps else {
      throw Refusal.badInput("--steps \(c.steps) is more than the 1048576 that a method or a guide is planned for")
    }
    guard guide == nil || !SelfGuide.linears(of: target).isEmpty else {
      throw Refusal.badInput(
        "--self-guided on is for structures that are a product of factors, and \(target.structureLabel) is none; leave "
          + "it off")
    }
  }

  private var tokens: Int { batch * sequence }

  /// Stored weights of a matrix during step `step`, from 0.
  private func count(_ linear: Linear, _ step: Int) -> Int {
    guard let method, let sites = sites[linear.name] else { return linear.structure.count }
    return method.count(in: sites, after: step) * sites.groupCount * sites.unitSize
  }

  /// Floating-point operations of step `step`, from 0: the model's own, and what a method adds.
  package func flops(step: Int) -> Double {
    var flops = base
    let tokens = Double(tokens)
    for linear in target.structuredLinears {
      let dense = Double(linear.structure.shape.count)
      if let method, sites[linear.name] != nil {
        let stored = Double(count(linear, step))
        flops += 6 * (stored - Double(linear.structure.count)) * tokens
        if method.needsDenseGradient, method.isUpdate(after: step + 1) { flops += 2 * dense * tokens }
        if method.companion == .master { flops += 2 * (dense - stored) * tokens }
      }
      if let guide, linear.structure.isProduct, guide.isActive(linear.name, step: step) {
        flops += 6 * dense * tokens + 8 * Double(linear.structure.shape.outputs) * tokens
      }
    }
    return flops
  }

  private func parameters(step: Int) -> Int {
    target.parameterCount + target.structuredLinears.reduce(0) { $0 + count($1, step) - $1.structure.count }
  }

  package var trainingFlops: Double {
    if method == nil && guide == nil { return base * Double(steps) }
    return (0..<steps).reduce(0) { $0 + flops(step: $1) }
  }

  package var averageParameters: Double {
    guard method?.beginsDense == true else { return Double(target.parameterCount) }
    return Double((0..<steps).reduce(0) { $0 + parameters(step: $1) }) / Double(steps)
  }

  /// Held at most: the model at its largest, and what stands beside it.
  package func memory(start: MistralPlan, logitTokens: Int) -> MemoryPlan {
    func memory(_ plan: MistralPlan) -> MemoryPlan {
      plan.memory(batch: batch, sequence: sequence, logitTokens: logitTokens)
    }
    var memory = memory(start).joined(memory(target))
    // A change of patterns makes values and moments anew while the old ones are there.
    if method != nil { memory.beside += memory.parameters / 4 * 3 }
    if let role = method?.companion { memory.beside += target.companionBytes(role, batch: batch, sequence: sequence) }
    if method?.needsDenseGradient == true {
      memory.beside += target.companionBytes(.observer, batch: batch, sequence: sequence)
    }
    if guide != nil { memory.beside += target.companionBytes(.guide, batch: batch, sequence: sequence) }
    return memory
  }
}
