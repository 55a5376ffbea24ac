import Arrays
import Devices
import Foundation
import Measuring
import Records

/// Times the steps of a run before it begins, in turn with those of dense, so that what slows the machine for a while
/// slows both alike. Leaves nothing on disk.
///
/// Steps of a run without a method or a guide cost the same: the median of at least seven counts, and of up to
/// ``mostSteps`` within a second. Else the run is rehearsed as a whole in ``mostSteps`` steps, with as many changes of the
/// pattern for each step as the run has, and the mean counts. The first step of each, which finds no memory warm, does not.
package struct Rehearsal {
  private static let leastSteps = 7
  private static let mostSteps = 40
  private static let budget = 1.0

  package let seconds: Double
  package let denseSeconds: Double

  /// - Parameter check: called before every step; what it throws ends the whole.
  /// - Throws: a `Refusal` where the machine's memory does not hold both models at once.
  package init(
    _ plan: RunPlan, beside dense: RunPlan, corpus: Corpus, on device: any Device, check: () throws -> Void
  ) throws {
    let needed = (plan.record.plannedBytes ?? 0) + (dense.record.neededBytes ?? 0)
    guard plan.record.machine.memoryBytes == 0 || needed <= plan.record.machine.memoryBytes else {
      throw Refusal.badInput(
        "--equal time times \(plan.record.structure) beside dense, which needs \(needed) bytes of memory, and this machine "
          + "has \(plan.record.machine.memoryBytes); use a smaller model, or --equal flops")
    }
    let isEven = plan.record.configuration.method == nil && plan.record.configuration.selfGuided != true
    let own = try Rehearsal.trainer(plan, corpus, on: device)
    let other = try Rehearsal.trainer(dense, corpus, on: device)
    var times: (own: [Double], dense: [Double]) = ([], [])
    let start = Clock.seconds()
    for round in 0..<own.configuration.steps {
      if isEven, times.own.count >= Rehearsal.leastSteps, Clock.seconds() - start > Rehearsal.budget { break }
      try check()
      // Either is first in every other round.
      let first = try (round.isMultiple(of: 2) ? other : own).rehearse()
      let second = try (round.isMultiple(of: 2) ? own : other).rehearse()
      guard round > 0 else { continue }
      times.dense.append(round.isMultiple(of: 2) ? first : second)
      times.own.append(round.isMultiple(of: 2) ? second : first)
    }
    let middle = isEven ? Statistics.median : Statistics.mean
    guard let seconds = middle(times.own), let denseSeconds = middle(times.dense), seconds > 0, denseSeconds > 0 else {
      throw Refusal.failed("the clock did not move while \(plan.record.structure) was timed; run it again")
    }
    (self.seconds, self.denseSeconds) = (seconds, denseSeconds)
  }

  /// Of the run as it is to be rehearsed. Its rate is so small that nothing moves: no time depends on it, and none diverges.
  private static func trainer(_ plan: RunPlan, _ corpus: Corpus, on device: any Device) throws -> Trainer {
    let c = plan.record.configuration
    var short = c
    short.learningRate = .leastNormalMagnitude
    short.steps = mostSteps
    if let method = c.method {
      short.steps = min(c.steps, mostSteps)
      func scale() {
        let updates = method.updates.map { Double($0) * Double(short.steps) / Double(c.steps) }
        short.method?.updates = updates.map { max(1, Int($0.rounded())) }
      }
      scale()
      // Where so few steps leave the method none to work at.
      while short.steps < c.steps, (try? Trainer.check(short)) == nil {
        short.steps = min(c.steps, 2 * short.steps)
        scale()
      }
    }
    return try Trainer(
      try plan.lengthened(to: short).record, plan: plan.model, corpus: corpus,
      folder: FileManager.default.temporaryDirectory, on: device)
  }
}
