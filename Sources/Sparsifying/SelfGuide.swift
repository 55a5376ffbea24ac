import Arrays
import Devices
import Foundation
import Model
import Records
import Structures

/// Self-guided training of factorised structures (Wei et al. 2024, arXiv 2406.16450): a dense matrix stands beside each
/// product of two factors and hands over during the first half of the run.
///
///     o = alpha G x + (1 - alpha) U(V x),   alpha = (1 + cos(pi s / h)) / 2 for s < h = steps / 2, then 0
///
/// In a step each matrix has its guide with probability alpha, and else o = U(V x): on average a quarter of the dense
/// MLP's work is added over the run. Who has it depends on the seed, the step and the matrix's name alone. G begins as
/// U V, learns as a dense matrix does and is dropped at h; evaluations use alpha without chance.
package struct SelfGuide: Sendable {
  private let handover: Int
  private let seed: UInt64

  package init(steps: Int, seed: UInt64) {
    handover = steps / 2
    self.seed = seed
  }

  package func share(step: Int) -> Double {
    step < handover ? (1 + cos(.pi * Double(step) / Double(handover))) / 2 : 0
  }

  /// Whether the matrix has its guide in step `step`, from 0.
  package func isActive(_ name: String, step: Int) -> Bool {
    let share = share(step: step)
    guard share > 0 else { return false }
    var generator = SeededGenerator(seed: seed, "\(name) guided at \(step)")
    return generator.uniform() < share
  }

  /// Steps before `step` in which the matrix had its guide.
  package func count(_ name: String, before step: Int) -> Int {
    (0..<min(step, handover)).count { isActive(name, step: $0) }
  }

  /// The matrices that a guide can stand beside: those whose structure is a product of factors.
  package static func linears(of plan: MistralPlan) -> [Linear] {
    plan.mlpLinears.filter { $0.structure.isProduct }
  }

  /// Whether published evidence speaks for a guide: it was found for low-rank, block-shuffle (Monarch) and block-dense
  /// layers at about 20 tokens per parameter. In shorter runs it costs a quarter of the dense MLP's work, and here it
  /// did not lower the loss (docs/Methods.md).
  package static func isSupported(_ c: TrainingConfiguration) throws -> Bool {
    let families = ["lowrank", "monarch", "blockdense"]
    guard c.method == nil, families.contains(where: { c.structure == $0 || c.structure.hasPrefix($0 + "-") }) else {
      return false
    }
    let dense = try MistralPlan(c.architecture, structure: "dense", density: 1, seed: 0)
    return Double(c.steps) * Double(c.batch) * Double(c.sequence) >= 20 * Double(dense.parameterCount)
  }

  /// The guides before the first step, or, where a checkpoint's numbers follow, zeros.
  package func makeCompanion(_ model: Mistral, isDrawn: Bool, on device: any Device) throws -> DenseCompanion? {
    let linears = SelfGuide.linears(of: model.plan)
    guard handover > 0, !linears.isEmpty else { return nil }
    return try DenseCompanion(
      .guide, of: linears,
      initial: { linear in
        guard isDrawn else { return [Float](repeating: 0, count: linear.structure.shape.count) }
        return linear.structure.materialize(try device.numbers(model.parameters.values[linear.range])).map(Float.init)
      }, on: device)
  }

  /// Sets who takes part in step `step`.
  package func prepare(_ model: Mistral, step: Int, on device: any Device) throws {
    guard let guide = model.parameters.companion, guide.role == .guide else { return }
    try guide.setShare(share(step: step), on: device)
    guide.activate(Set(guide.tensors.map(\.name).filter { isActive($0, step: step) }))
  }

  /// After `step` steps: all guides take part in an evaluation, and are dropped when their time is over.
  package func settle(_ model: Mistral, after step: Int, on device: any Device) throws {
    guard let guide = model.parameters.companion, guide.role == .guide else { return }
    guard share(step: step) > 0 else { return model.parameters.setCompanion(nil) }
    try guide.setShare(share(step: step), on: device)
    guide.activate(Set(guide.tensors.map(\.name)))
  }
}
