import Arrays
import Foundation
import Records

/// Everything recorded under a survey directory, and in words what is not there yet.
package struct RecordedSurvey: Sendable {
  package let directory: URL
  package let survey: SurveyRecord
  package let bench: [BenchRecord]
  package let runs: [RecordedRun]
  /// One sentence for each thing that is missing or does not fit together.
  package let missing: [String]

  /// Reads `survey.json`, `bench.jsonl` and `runs/`; refuses a directory without `survey.json` and any malformed line.
  package init(reading directory: URL) throws {
    let surveyFile = RecordFile(directory.appendingPathComponent("survey.json"))
    guard surveyFile.exists else {
      throw Refusal.badInput(
        "\(directory.path) has no survey.json and so is no survey directory; give the directory that filigree survey wrote"
      )
    }
    let survey = try surveyFile.record(SurveyRecord.self, fault: RecordFaults.of)
    var missing: [String] = []

    let benchFile = RecordFile(directory.appendingPathComponent("bench.jsonl"))
    var bench: [BenchRecord] = []
    if benchFile.exists {
      bench = try benchFile.lines(BenchRecord.self, fault: RecordFaults.of).records
      if bench.isEmpty { missing.append("The file bench.jsonl is empty: nothing is known about single products.") }
    } else {
      missing.append("The file bench.jsonl is missing: nothing is known about single products.")
    }
    if Set(bench.map(\.machine)).count > 1 {
      missing.append("The bench records come from more than one machine; their times do not compare.")
    }

    if survey.runs.isEmpty { missing.append("The survey plans no training run, so there is no verdict on training.") }
    let runs = try survey.runs.map { plan in
      try Self.run(plan, under: directory.appendingPathComponent("runs"), of: survey, missing: &missing)
    }
    self.directory = directory
    self.survey = survey
    self.bench = bench
    self.runs = runs
    self.missing = missing
  }

  private static func run(
    _ plan: SurveyRecord.Run, under runs: URL, of survey: SurveyRecord, missing: inout [String]
  ) throws -> RecordedRun {
    let folder = runs.appendingPathComponent(plan.directory)
    let name = "runs/\(plan.directory)"
    guard FileManager.default.fileExists(atPath: folder.path) else {
      missing.append("The run \(name) has not been started.")
      return RecordedRun(plan: plan, record: nil, metrics: [], isDone: false)
    }
    let isDone = FileManager.default.fileExists(atPath: folder.appendingPathComponent("DONE").path)
    let recordFile = RecordFile(folder.appendingPathComponent("run.json"))
    var record: RunRecord?
    if recordFile.exists {
      record = try recordFile.record(RunRecord.self, fault: RecordFaults.of)
    } else {
      missing.append("The run \(name) has no run.json.")
    }
    let metricsFile = RecordFile(folder.appendingPathComponent("metrics.jsonl"))
    var metrics: [MetricRecord] = []
    if metricsFile.exists {
      let read = try metricsFile.lines(MetricRecord.self, mayEndCut: !isDone, fault: RecordFaults.of)
      metrics = read.records
      if read.isCut { missing.append("The last line of \(name)/metrics.jsonl is cut off and was left out.") }
    } else {
      missing.append("The run \(name) has no metrics.jsonl.")
    }
    let divergedFile = folder.appendingPathComponent("DIVERGED")
    let divergence = (try? String(contentsOf: divergedFile, encoding: .utf8)).map { String($0.prefix(400)) }
    let run = RecordedRun(plan: plan, record: record, metrics: metrics, isDone: isDone, divergence: divergence)
    if let divergence {
      missing.append("The run \(name) diverged: \(divergence.trimmingCharacters(in: .whitespacesAndNewlines)).")
    } else if !isDone {
      missing.append(
        "The run \(name) is not finished: \(run.steps.last?.step ?? 0) of \(survey.steps(of: plan)) steps are recorded."
      )
    } else if !run.isFinished && record != nil && metricsFile.exists {
      missing.append("The run \(name) says DONE but has no validation loss or no step times.")
    }
    if let record {
      if record.structure != plan.structure {
        missing.append("The run \(name) trained \(record.structure), where the survey planned \(plan.structure).")
      }
      if record.configuration.steps != survey.steps(of: plan) {
        missing.append(
          "The run \(name) has \(record.configuration.steps) steps, where the survey planned \(survey.steps(of: plan))."
        )
      }
      let (a, b) = (record.machine, survey.machine)
      if a.processor != b.processor || a.threads != b.threads || a.device != b.device || a.isa != b.isa {
        missing.append("The run \(name) was trained on another machine or setting; its times do not compare.")
      }
    }
    return run
  }
}
