import Foundation
import Records
import Testing

/// Surveys whose runs are as long as equal FLOPs or equal time ask for.
@Suite struct EqualSurveyTests {
  private static func survey(_ equal: String, to out: String = "survey", more: [String] = []) -> [String] {
    [
      "survey", "--quiet", "--structures", "csr", "--densities", "0.25", "--shapes", "64x64", "--tokens", "1",
      "--steps", "6", "--data", "text.txt", "--equal", equal, "--out", out,
    ] + more
  }

  private func workplace() throws -> Workplace {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    return place
  }

  private func record(_ place: Workplace, _ survey: String = "survey") throws -> SurveyRecord {
    try JSONDecoder().decode(SurveyRecord.self, from: Data(try place.bytes("\(survey)/survey.json")))
  }

  private func metrics(_ place: Workplace, _ run: String, of survey: String = "survey") throws -> [MetricRecord] {
    try place.bytes("\(survey)/runs/\(run)/metrics.jsonl").split(separator: 10).map {
      var metric = try JSONDecoder().decode(MetricRecord.self, from: Data($0))
      (metric.stepSeconds, metric.tokensPerSecond, metric.joules, metric.peakBytes) = (nil, nil, nil, nil)
      return metric
    }
  }

  private func weights(_ place: Workplace, _ run: SurveyRecord.Run, of survey: String = "survey") throws -> [UInt8] {
    let step = String(format: "%06d", run.steps ?? 0)
    return try place.bytes("\(survey)/runs/\(run.directory)/checkpoints/\(step)/model.safetensors")
  }

  /// Both surveys have the same runs, with the same numbers to the bit.
  private func expectSame(_ a: (Workplace, String), _ b: (Workplace, String)) throws {
    let runs = try record(a.0, a.1).runs
    #expect(try record(b.0, b.1).runs == runs)
    for run in runs {
      #expect(try metrics(a.0, run.directory, of: a.1) == metrics(b.0, run.directory, of: b.1), "\(run.directory)")
      #expect(try weights(a.0, run, of: a.1) == weights(b.0, run, of: b.1), "\(run.directory)")
    }
  }

  @Test(
    "At equal FLOPs every run of a sweep, its seeds and narrow among them, has dense's within one step's; killed, the same"
  )
  func equalFlops() throws {
    let more = ["--learning-rates", "1e-3,2e-3", "--seeds", "2"]
    let whole = try workplace(), broken = try workplace()
    #expect(try whole.run(Self.survey("flops", more: more)).status == 0)
    let survey = try record(whole)
    #expect(survey.equal == .flops && survey.timing == nil && survey.runs.count == 9)
    var dense: Double?
    for run in survey.runs {
      let steps = try metrics(whole, run.directory).filter { $0.loss != nil }
      #expect(steps.count == run.steps && steps.count >= 6)
      #expect((run.structure == "dense") == (steps.count == 6))
      let flops = steps.compactMap(\.flops)
      let wanted = dense ?? flops.reduce(0, +)
      dense = wanted
      let step = try #require(flops.max())
      #expect(abs(flops.reduce(0, +) - wanted) <= step)
      let evaluated = try metrics(whole, run.directory).filter { $0.validationLoss != nil }.map(\.step)
      #expect(evaluated == (0...6).map { ($0 * steps.count + 5) / 6 })
    }
    let summary = try JSON(String(decoding: try whole.bytes("survey/report/summary.json"), as: UTF8.self))
    #expect(try summary["equal"].string == "flops")

    for (signal, run) in [(SIGKILL, "narrow-d0.25-s1-r0.002"), (SIGINT, "csr-d0.25-s1-r0.001")] {
      let running = try Program(in: broken.url).start(Self.survey("flops", more: more))
      broken.wait(for: "survey/runs/\(run)/metrics.jsonl", beyond: 600, or: running)
      running.send(signal)
      #expect(try running.wait().status == (signal == SIGKILL ? 128 + SIGKILL : 130))
      let before = try broken.contents()
      for other in ["steps", "time"] {
        expectRefusal(try broken.run(Self.survey(other, more: more)), "begun with --equal flops, not \(other)")
      }
      #expect(try broken.contents() == before)
    }
    #expect(try broken.run(Self.survey("flops", more: more)).status == 0)
    try expectSame((whole, "survey"), (broken, "survey"))
  }

  @Test("At equal time steps are timed once: a survey that goes on keeps its lengths, which decide its bits")
  func equalTime() throws {
    let place = try workplace()
    let running = try Program(in: place.url).start(Self.survey("time"))
    place.wait(for: "survey/runs/narrow-d0.25-s1/metrics.jsonl", beyond: 600, or: running)
    running.send(SIGKILL)
    #expect(try running.wait().status == 128 + SIGKILL)
    let file = try place.bytes("survey/survey.json")
    let survey = try record(place)
    let timing = try #require(survey.timing)
    #expect(survey.equal == .time && timing.map(\.structure) == ["narrow", "csr"])
    for run in survey.runs {
      let found = timing.first { $0.structure == run.structure }
      let ratio = found.map { $0.denseStepSeconds / $0.stepSeconds } ?? 1
      // Nearest to the time of six steps of dense.
      #expect(run.steps == max(1, Int((6 * ratio).rounded())))
    }
    // The same lengths in another folder.
    try FileManager.default.createDirectory(at: place["other"], withIntermediateDirectories: true)
    try place.write(file, to: "other/survey.json")
    for out in ["survey", "other"] {
      let ending = try place.run(Self.survey("time", to: out))
      #expect(ending.status == 0, "\(ending.errors)")
      #expect(try place.bytes("\(out)/survey.json") == file)
    }
    try expectSame((place, "survey"), (place, "other"))
    expectRefusal(try place.run(Self.survey("flops")), "begun with --equal time, not flops")
    expectRefusal(try place.run(Self.survey("time", more: ["--steps", "7"])), "differ in steps")
  }

  @Test(
    "A survey begins anew in an empty folder, which a kill while steps are timed leaves, and wants all its numbers of steps"
  )
  func interruptedTiming() throws {
    let place = try workplace()
    // Steps of all structures are timed for a minute and more, and the folder is there from the beginning on.
    let timing = try Program(in: place.url).start(Self.survey("time", more: ["--structures", "*"]))
    place.wait(for: "survey", beyond: -1, or: timing)
    timing.send(SIGKILL)
    #expect(try timing.wait().status == 128 + SIGKILL)
    #expect(try FileManager.default.contentsOfDirectory(atPath: place["survey"].path).isEmpty)
    #expect(try place.run(Self.survey("time", to: "made")).status == 0)
    var survey = try record(place, "made")
    survey.runs[1].steps = 0
    try place.write(Array(try JSONEncoder().encode(survey)), to: "made/survey.json")
    expectRefusal(try place.run(Self.survey("time", to: "made")), "made/survey.json has runs without a number of steps")
    #expect(try place.run(Self.survey("time")).status == 0)
    #expect(place.exists("survey/report/index.html"))
  }

  @Test("An equality that is none is refused in one line, and steps are the default, without a word in the records")
  func names() throws {
    let place = try workplace()
    expectRefusal(try place.run(Self.survey("tokens")), "'tokens'")
    #expect(!place.exists("survey"))
    #expect(try place.run(Self.survey("steps", to: "a")).status == 0)
    let plain = Self.survey("steps", to: "b").filter { $0 != "--equal" && $0 != "steps" }
    #expect(try place.run(plain).status == 0)
    let (a, b) = (try record(place, "a"), try record(place, "b"))
    #expect(a.equal == nil && a.runs == b.runs && a.runs.allSatisfy { $0.steps == nil })
    let text = String(decoding: try place.bytes("b/runs/csr-d0.25-s1/run.json"), as: UTF8.self)
    #expect(!text.contains("\"evaluations\""))
    for run in a.runs {
      #expect(try metrics(place, run.directory, of: "a") == metrics(place, run.directory, of: "b"))
    }
  }
}
