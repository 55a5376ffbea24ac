import Arrays
import Devices
import Records
import Training

/// The lengths of the runs at equal time: what a step takes beside dense's is measured once, when the survey begins, and
/// kept in its record.
extension SurveyRuns {
  func timing(quiet: Bool, makeDevice: () throws -> any Device) throws -> [SurveyRecord.Timing] {
    var subjects: [Planned] = []
    for item in planned where item.run.structure != "dense" && !subjects.contains(where: { $0.subject == item.subject })
    {
      subjects.append(item)
    }
    let dense = try plan(planned[0])
    let progress = ProgressLine("timing", total: subjects.count, quiet: quiet)
    defer { progress.end() }
    return try subjects.enumerated().map { index, item in
      progress.show(index, item.run.directory)
      // A device for each pair: the memory of one goes before the next is made.
      let rehearsal = try Rehearsal(
        try plan(item), beside: dense, corpus: corpus, on: try makeDevice(), check: Interruption.check)
      return SurveyRecord.Timing(
        structure: item.run.structure, requestedDensity: item.run.requestedDensity, variant: item.run.variant,
        stepSeconds: rehearsal.seconds, denseStepSeconds: rehearsal.denseSeconds)
    }
  }

  mutating func setSteps(by timing: [SurveyRecord.Timing]) throws {
    for (index, item) in planned.enumerated() {
      let run = item.run
      let steps = timing.first {
        $0.structure == run.structure && $0.requestedDensity == run.requestedDensity && $0.variant == run.variant
      }.map { RunLength.steps(lasting: setting.steps, of: $0.denseStepSeconds, at: $0.stepSeconds) }
      try setSteps(steps ?? setting.steps, ofRun: index)
      _ = try plan(planned[index])
    }
  }

  /// The lengths that a survey was begun with; false where they are not those of its runs.
  mutating func takeSteps(of runs: [SurveyRecord.Run]) throws -> Bool {
    guard runs.count == planned.count else { return false }
    for (index, run) in runs.enumerated() {
      guard let steps = run.steps, (1...RunLength.most).contains(steps) else { return false }
      try setSteps(steps, ofRun: index)
    }
    return true
  }
}
