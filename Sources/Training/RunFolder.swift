import Arrays
import Checkpoints
import Foundation
import Records

/// The directory of one run: `run.json`, `metrics.jsonl`, TensorBoard events, `checkpoints/`, `DONE`.
package struct RunFolder: Sendable {
  package let url: URL

  package init(_ url: URL) { self.url = url }

  package var record: URL { url.appendingPathComponent("run.json") }
  package var metrics: URL { url.appendingPathComponent("metrics.jsonl") }
  package var checkpoints: URL { url.appendingPathComponent("checkpoints") }
  package var done: URL { url.appendingPathComponent("DONE") }

  /// Says in a sentence that the loss exploded; written where other runs go on.
  package var diverged: URL { url.appendingPathComponent("DIVERGED") }

  package var exists: Bool { FileManager.default.fileExists(atPath: record.path) }
  package var isDone: Bool { FileManager.default.fileExists(atPath: done.path) }

  /// Refuses a finished run whose last model is not there whole, as a copy that was cut short leaves it.
  package func checkFinished(steps: Int) throws {
    let all = CheckpointDirectory.all(in: checkpoints)
    func advice(_ older: URL?) -> String {
      "remove \(done.path) to train on from \(older.map { "checkpoint \($0.lastPathComponent)" } ?? "the start")"
    }
    guard let last = all.first, last.step >= steps else {
      throw Refusal.badInput("\(url.path) is finished, but has no model of step \(steps); \(advice(all.first?.url))")
    }
    do {
      _ = try CheckpointDirectory.load(last.url, as: TrainerState.self)
    } catch let refusal as Refusal {
      throw Refusal(
        refusal.kind,
        "\(refusal.sentence) (the run is finished: remove \(last.url.path) and \(advice(all.dropFirst().first?.url)))")
    }
  }

  /// Makes the directory for a new run, or checks that the run in it is this one; it is the caller's alone as long as the
  /// result lives.
  /// - Throws: a `Refusal` that names the first difference when the directory holds a run of another configuration.
  package func open(_ planned: RunRecord) throws -> OpenFile {
    if !exists { try AtomicFile.makeFolder(url) }
    let claim = try OpenFile(claiming: url.path)
    guard exists else {
      for remains in [done, metrics, checkpoints] where FileManager.default.fileExists(atPath: remains.path) {
        throw Refusal.badInput(
          "\(remains.path) is there without a run.json that says of which run it is; move it away, or choose another "
            + "--out")
      }
      try RecordJSON.write(planned, to: record)
      return claim
    }
    let found = try RecordJSON.read(RunRecord.self, from: record)
    guard found.schema == RunRecord.schemaName else {
      throw Refusal.badInput("\(record.path) has schema '\(found.schema)', not \(RunRecord.schemaName)")
    }
    guard planned.machine.computesLike(found.machine) else {
      throw Refusal.badInput(
        "\(url.path) was begun with \(found.machine.howItComputes), not \(planned.machine.howItComputes); give the same, or "
          + "choose another --out")
    }
    guard found.configuration.course == planned.configuration.course, found.seed == planned.seed else {
      let difference =
        found.seed == planned.seed
        ? try RunFolder.difference(found.configuration.course, planned.configuration.course) : "seed"
      throw Refusal.badInput(
        "\(url.path) holds a run of another configuration (they differ in \(difference)); choose another --out, or "
          + "remove it")
    }
    return claim
  }

  /// The first key whose value differs, for people; "architecture.heads" for one inside another.
  package static func difference<Record: Encodable>(_ a: Record, _ b: Record) throws -> String {
    func fields(_ value: Any, _ path: String) -> [String: String] {
      guard let object = value as? [String: Any] else { return [path: "\(value)"] }
      return object.reduce(into: [:]) { all, field in
        all.merge(fields(field.value, path.isEmpty ? field.key : "\(path).\(field.key)")) { $1 }
      }
    }
    let x = fields(try object(a), ""), y = fields(try object(b), "")
    let differing = Set(x.keys).union(y.keys).sorted().filter { x[$0] != y[$0] }
    // Other fields are derived from the number of steps.
    return differing.contains("steps") ? "steps" : differing.first ?? "a number's last digits"
  }

  private static func object(_ record: some Encodable) throws -> Any {
    try JSONSerialization.jsonObject(with: JSONEncoder().encode(record))
  }
}

extension TrainingConfiguration {
  /// What decides the losses. Not among it: where the text lies, which its checksum tells better, and how many checkpoints
  /// there are.
  fileprivate var course: TrainingConfiguration {
    var course = self
    (course.data, course.validation) = ([], [])
    (course.checkpointEvery, course.keepCheckpoints) = (1, 1)
    return course
  }
}
