import Foundation
import Records
import Testing

/// What a run is planned to hold is what it holds, and a plan that this machine cannot hold says so in both forms.
@Suite struct MemoryPlanTests {
  private static let few = ["--steps", "3", "--checkpoint-every", "1", "--evaluate-every", "3"]

  /// A run on text that takes no time to make.
  private func train(_ arguments: [String]) throws -> (plan: RunRecord, peak: Int?) {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    let ending = try place.run(
      ["train", "--quiet", "--data", "text.txt", "--out", "run", "--threads", "2"] + arguments)
    #expect(ending.status == 0, "\(ending.errors)")
    let plan = try RecordJSON.read(RunRecord.self, from: place["run/run.json"])
    let metrics = try JSONLines.read(MetricRecord.self, from: place["run/metrics.jsonl"])
    return (plan, metrics.compactMap(\.peakBytes).max())
  }

  @Test(
    "Planned and measured peak agree within 5 % for small presets, where pages and scratch weigh most",
    arguments: [
      ["--preset", "mistral-tiny"],
      ["--preset", "mistral-tiny", "--structure", "csr", "--density", "0.25"],
      ["--preset", "mistral-tiny", "--structure", "monarch-4"],
      ["--preset", "mistral-4m", "--batch", "4"],
    ])
  func peak(_ arguments: [String]) throws {
    let (plan, peak) = try train(Self.few + arguments)
    let planned = try #require(plan.plannedBytes), memory = try #require(plan.memory)
    #expect(
      planned == memory.parameters + memory.activations + memory.passing + memory.patterns + memory.beside)
    // A kernel that counts no resident memory leaves nothing to compare.
    guard let peak else { return #expect(!FileManager.default.fileExists(atPath: "/proc/self/status")) }
    #expect(
      abs(Double(peak) / Double(planned) - 1) <= 0.05, "\(arguments): planned \(planned), measured \(peak), \(memory)")
  }

  @Test(
    "Methods that change patterns as often as they do by themselves hold no more than 5 % above their plan",
    arguments: [
      ("magnitude", "csr"), ("set", "csr"), ("rigl", "csr"), ("magnitude", "fanin"), ("magnitude", "nm-2:4"),
      ("rigl", "nm-2:4"), ("magnitude", "bsr-16"), ("prune-and-grow", "bsr-16"), ("sr-ste", "nm-2:4t"),
    ])
  func changes(_ method: String, _ structure: String) throws {
    let (plan, peak) = try train([
      "--preset", "mistral-tiny", "--structure", structure, "--density", structure.hasPrefix("nm") ? "0.5" : "0.25",
      "--method", method, "--steps", "24", "--checkpoint-every", "24", "--evaluate-every", "24",
    ])
    let planned = try #require(plan.plannedBytes), memory = try #require(plan.memory)
    #expect(memory.beside > 0)
    guard let peak else { return #expect(!FileManager.default.fileExists(atPath: "/proc/self/status")) }
    #expect(Double(peak) <= 1.05 * Double(planned), "planned \(planned), measured \(peak), \(memory)")
  }

  @Test("Gate and up hold one pattern after a change as before, and vectors of one page more or less are new ones")
  func manyLayers() throws {
    let long = ["--preset", "mistral-4m", "--structure", "csr", "--batch", "1", "--sequence", "64", "--steps", "6"]
    let rare = ["--checkpoint-every", "6", "--evaluate-every", "6"]
    for arguments in [
      ["--layers", "8", "--method", "set", "--density", "0.5"], ["--method", "magnitude", "--density", "0.9999"],
    ] {
      let (plan, peak) = try train(long + rare + arguments)
      guard let peak else { return #expect(!FileManager.default.fileExists(atPath: "/proc/self/status")) }
      let planned = try #require(plan.plannedBytes)
      #expect(Double(peak) <= 1.05 * Double(planned), "\(arguments): planned \(planned), measured \(peak)")
    }
  }

  @Test("A plan beyond the machine's memory says so, in words and as a field; one within it does not")
  func beyondMemory() throws {
    let place = try Workplace()
    // Some 50 terabytes of activations.
    let large = ["train", "--preset", "mistral-162m", "--dry-run", "--batch", "1024", "--sequence", "65536"]
    let small = ["train", "--preset", "mistral-tiny", "--dry-run"]
    for (arguments, exceeds) in [(large, true), (small, false)] {
      let words = try place.run(arguments + ["--quiet"])
      #expect(words.status == 0 && words.output.contains("more than the") == exceeds, "\(words.output)")
      let plan = try JSON(try place.run(arguments + ["--json"]).output)
      #expect(try plan["exceedsMemory"].value as? Bool == exceeds)
      let needed = try plan["memoryBytes"].number + (try plan["memory"]["process"].number)
      #expect(try (needed > plan["machineMemoryBytes"].number) == exceeds)
      #expect(try plan["memory"]["activations"].number > 0)
      // What cannot be held is not timed either.
      if exceeds {
        #expect(throws: (any Error).self) { try plan["estimatedSecondsPerStep"] }
        #expect(words.output.contains("at least"))
      } else {
        #expect(try plan["estimatedSecondsPerStep"].number > 0)
        #expect(words.output.contains("by products timed now"))
      }
    }
  }
}
