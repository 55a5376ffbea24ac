import Arrays
import Records

/// How many steps a run must have to cost as much as another run.
package enum RunLength {
  package static let most = 1 << 30

  /// The number of steps, at least 1, with which the run's operations are nearest to `flops`: those of the whole run, as
  /// ``RunCost`` counts them, a method's and a guide's included.
  ///
  /// Without a method or a guide every step costs the same, and the operations are within half a step's. With one they
  /// grow by steps of different costs, whose places in the run move with its length; the nearest of the lengths around
  /// the mean step's is taken.
  package static func steps(of plan: RunPlan, flops: Double) throws -> Int {
    let c = plan.record.configuration
    let base = plan.record.flopsPerStep
    guard c.method != nil || c.selfGuided == true else { return whole(flops / base) }
    var known: [Int: Double] = [:]
    func excess(_ steps: Int) throws -> Double {
      if let excess = known[steps] { return abs(excess) }
      var longer = c
      longer.steps = steps
      let excess = try RunCost(longer, target: plan.model, seed: plan.record.seed).trainingFlops - flops
      known[steps] = excess
      return abs(excess)
    }
    var best = min(c.steps, RunCost.mostSteps)
    var least = try excess(best)
    // The mean step hardly depends on the length, so that a few rounds find the place.
    for _ in 0..<8 {
      let mean = (flops + (known[best] ?? 0)) / Double(best)
      let next = whole(flops / mean)
      guard next != best, try excess(next) < least else { break }
      (best, least) = (next, try excess(next))
    }
    // From there downhill, over the small unevennesses of where changes fall.
    var place: Int
    repeat {
      place = best
      for next in max(1, place - 3)...place + 3 {
        let distance = try excess(next)
        if distance < least { (best, least) = (next, distance) }
      }
    } while best != place
    return best
  }

  /// The number of steps of `seconds` each that take as long as `steps` of `denseSeconds`, within half a step.
  package static func steps(lasting steps: Int, of denseSeconds: Double, at seconds: Double) -> Int {
    whole(Double(steps) * denseSeconds / seconds)
  }

  private static func whole(_ steps: Double) -> Int {
    steps < Double(most) ? max(1, Int(steps.rounded())) : most
  }
}
