import Arrays
import Devices
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
    memory.beside += changeBytes(beyond: memory)
    if let role = method?.companion { memory.beside += target.companionBytes(role, batch: batch, sequence: sequence) }
    if method?.needsDenseGradient == true {
      memory.beside += target.companionBytes(.observer, batch: batch, sequence: sequence)
    }
    if guide != nil { memory.beside += target.companionBytes(.guide, batch: batch, sequence: sequence) }
    return memory
  }

  // MARK: Changes of patterns

  /// The matrices that share a pattern, and their common sites.
  private struct Shared {
    let sites: Sites
    let linears: [Linear]
  }

  /// What the changes of a method hold at most beyond a model that does not change.
  ///
  /// Vectors are made anew only where their sizes change. The patterns and walks that a run begins with are never given
  /// back, as its plan keeps them; those of a change go with the next one.
  private func changeBytes(beyond memory: MemoryPlan) -> Int {
    guard let method else { return 0 }
    let linears = Dictionary(uniqueKeysWithValues: target.structuredLinears.map { ($0.name, $0) })
    let shared = Sparsifier.groups(of: target).compactMap { names in
      names.first.flatMap { sites[$0] }.map { Shared(sites: $0, linears: names.compactMap { linears[$0] }) }
    }
    let atFirst = method.beginsDense ? 0 : walkBytes(shared, step: 0)
    let dense = shared.reduce(0) { $0 + $1.linears.count * $1.sites.target.shape.count }
    let others = target.parameterCount - shared.reduce(0) { $0 + $1.linears.reduce(0) { $0 + $1.structure.count } }
    let vectors = { (stored: Int) in 4 * CPUDevice.heldBytes(for: 4 * (others + stored)) }
    let constant = memory.parameters + memory.patterns
    var most = constant
    var hasChanged = false
    var seen: Set<[Int]> = []
    // During step s the pattern is the one that the change after s steps has made; one after none precedes the first.
    for step in 0...steps where method.isUpdate(after: step) {
      let last = max(0, step - 1), (stored, next) = (count(shared, last), count(shared, step))
      guard !method.beginsDense || next < dense, seen.insert([hasChanged ? 1 : 0, stored, next]).inserted else {
        continue
      }
      let before = vectors(stored), after = vectors(next)
      let isDense = method.beginsDense && stored == dense
      var held = before + (stored == next ? 0 : after)
      held += isDense ? 0 : walkBytes(shared, step: last)
      held += indexBytes(shared, step: step) + 4 * next
      if hasChanged { held += indexBytes(shared, step: last) + atFirst }
      let settled = after + walkBytes(shared, step: step) + indexBytes(shared, step: step) + atFirst
      most = max(most, held + rankingBytes(shared), settled)
      hasChanged = true
    }
    return most - constant
  }

  private func count(_ shared: [Shared], _ step: Int) -> Int {
    shared.reduce(0) { $0 + $1.linears.reduce(0) { $0 + count($1, step) } }
  }

  private func sum(_ shared: [Shared], step: Int, _ bytes: (Shape, _ count: Int) -> Int) -> Int {
    shared.reduce(0) { sum, group in
      guard group.sites.target.singleWeights != nil, let linear = group.linears.first else { return sum }
      return sum + bytes(group.sites.target.shape, count(linear, step))
    }
  }

  private func indexBytes(_ shared: [Shared], step: Int) -> Int {
    sum(shared, step: step) { CompressedRows.indexBytes(rows: $0.outputs, columns: $0.inputs, count: $1) }
  }

  private func walkBytes(_ shared: [Shared], step: Int) -> Int {
    sum(shared, step: step) {
      CPUDevice.walkBytes(rows: $0.outputs, columns: $0.inputs, count: $1, tokens: tokens)
    }
  }

  /// The lists of the largest group while it is ranked: its matrix made dense, a number of 4 bytes for every weight twice, and
  /// for every place scores, gradients and eight lists of 8 bytes.
  private func rankingBytes(_ shared: [Shared]) -> Int {
    shared.map { 8 * $0.sites.target.shape.count + 72 * $0.sites.placeCount }.max() ?? 0
  }
}
