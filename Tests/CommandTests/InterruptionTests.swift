import Foundation
import Records
import Testing

/// A run that is stopped at any moment, by a signal or by death, ends as if nothing had happened.
@Suite(.serialized) struct InterruptionTests {
  private static let steps = 400
  private static let weights = "run/checkpoints/000400/model.safetensors"

  private func train(_ threads: Int, resuming: Bool) -> [String] {
    Tiny.train(steps: Self.steps, every: 7, ["--threads", "\(threads)"] + (resuming ? ["--resume"] : []))
  }

  private func workplace() throws -> Workplace {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    return place
  }

  /// What the seed decides of every line.
  private func numbers(_ place: Workplace) throws -> [MetricRecord] {
    try place.bytes("run/metrics.jsonl").split(separator: 10).map {
      var metric = try JSONDecoder().decode(MetricRecord.self, from: Data($0))
      (metric.stepSeconds, metric.tokensPerSecond, metric.joules, metric.peakBytes) = (nil, nil, nil, nil)
      return metric
    }
  }

  private func expectSame(_ broken: Workplace, _ whole: Workplace) throws {
    let metrics = try numbers(broken)
    #expect(metrics.filter { $0.loss != nil }.map(\.step) == Array(1...Self.steps))
    #expect(try metrics == numbers(whole))
    #expect(try broken.bytes(Self.weights) == whole.bytes(Self.weights))
    #expect(broken.exists("run/DONE"))
    let names = try FileManager.default.subpathsOfDirectory(atPath: broken.url.path)
    #expect(names.filter { $0.contains(".partial-") } == [])
  }

  /// A way to train, and at how many moments it is killed: fifty in all.
  struct Way: Sendable, CustomTestStringConvertible {
    let threads: Int
    let options: [String]
    let deaths: Int
    var testDescription: String { "\(threads) threads \(options.joined(separator: " "))" }
  }

  static let ways = [
    Way(threads: 1, options: [], deaths: 10), Way(threads: 2, options: [], deaths: 10),
    Way(threads: 2, options: ["--structure", "csr", "--density", "0.5", "--method", "set"], deaths: 6),
    Way(threads: 1, options: ["--structure", "fanin", "--density", "0.5", "--method", "rigl"], deaths: 6),
    Way(threads: 2, options: ["--structure", "bsr-8", "--density", "0.5", "--method", "magnitude"], deaths: 6),
    Way(threads: 2, options: ["--structure", "nm-2:4t", "--method", "sr-ste"], deaths: 6),
    Way(threads: 2, options: ["--structure", "lowrank-8", "--self-guided", "on"], deaths: 6),
  ]

  @Test("Killed at fifty moments, runs end with the numbers of those that were let alone, to the bit", arguments: ways)
  func survivesDeath(way: Way) throws {
    let whole = try workplace(), broken = try workplace()
    func command(_ threads: Int, resuming: Bool) -> [String] { train(threads, resuming: resuming) + way.options }
    #expect(try whole.run(command(2, resuming: false)).status == 0)
    var generator = Lehmer(state: UInt64(way.threads + 2 * way.options.count))
    var deaths = 0
    for attempt in 0..<20 * way.deaths where deaths < way.deaths {
      if broken.exists("run/DONE") {
        try expectSame(broken, whole)
        try FileManager.default.removeItem(at: broken["run"])
      }
      let running = try Program(in: broken.url)
        .start(command(way.threads, resuming: broken.exists("run/run.json")))
      if attempt % 4 == 3 {
        // Sometimes before the first step, while the directory is opened and the checkpoint read.
        usleep(UInt32(generator.next(below: 100_000)))
      } else {
        let some = 250 * generator.next(below: 24)
        broken.wait(for: "run/metrics.jsonl", beyond: broken.size("run/metrics.jsonl") + some, or: running)
        usleep(UInt32(generator.next(below: 4000)))
      }
      running.send(SIGKILL)
      if try running.wait().status == 128 + SIGKILL { deaths += 1 }
    }
    #expect(deaths == way.deaths)
    #expect(try broken.run(command(way.threads, resuming: broken.exists("run/run.json"))).status == 0)
    try expectSame(broken, whole)
  }

  @Test("The moments at which runs are killed are fifty")
  func fifty() { #expect(Self.ways.reduce(0) { $0 + $1.deaths } == 50) }

  @Test("A file system that takes no more bytes ends a run with one sentence; with room it goes on to the same numbers")
  func survivesFullDisk() throws {
    let whole = try workplace(), broken = try workplace()
    #expect(try whole.run(train(1, resuming: false)).status == 0)
    // Files may not grow beyond so many blocks of 512 bytes: too few for run.json, for a model, for its moments.
    for blocks in [2, 20, 300] {
      var program = Program(in: broken.url)
      program.largestFile = blocks
      let ending = try program.run(train(1, resuming: broken.exists("run/run.json")))
      #expect(ending.status == 1 && ending.errorLines.count == 1, "\(ending.status) \(ending.errors)")
      #expect(ending.errors.contains("run/"))
    }
    #expect(try broken.run(train(1, resuming: broken.exists("run/run.json"))).status == 0)
    try expectSame(broken, whole)
  }

  @Test("A place that nothing can be written to is refused by name before training")
  func refusesReadOnly() throws {
    let place = try workplace()
    // The kernel's own file system lets nobody make a directory, the superuser included.
    for out in ["/proc/run", "text.txt/run"] {
      let ending = try place.run(Tiny.train(to: out))
      #expect(ending.status == 1 || ending.status == 2, "\(ending.status)")
      #expect(ending.errorLines.count == 1 && ending.errors.contains(out), "\(ending.errors)")
    }
  }

  @Test(
    "A signal ends a run with 130 and its last step saved; --resume finishes it", arguments: [SIGINT, SIGTERM, SIGHUP])
  func savesOnSignal(signal: Int32) throws {
    let whole = try workplace(), broken = try workplace()
    #expect(try whole.run(train(1, resuming: false)).status == 0)
    let running = try Program(in: broken.url).start(train(1, resuming: false))
    broken.wait(for: "run/metrics.jsonl", beyond: 1000, or: running)
    running.send(signal)
    let ending = try running.wait()
    #expect(ending.status == 130, "\(ending.errors)")
    #expect(ending.output.isEmpty)
    let last = try #require(try numbers(broken).last { $0.loss != nil }).step
    #expect(broken.exists("run/checkpoints/\(String(format: "%06d", last))/state.json"))
    #expect(!broken.exists("run/DONE"))
    #expect(try broken.run(train(1, resuming: true)).status == 0)
    try expectSame(broken, whole)
  }

  @Test("Closed standard output leaves the records of a run as they are")
  func keepsRecordsWithoutOutput() throws {
    let place = try workplace()
    var program = Program(in: place.url)
    program.output = .closed
    _ = try program.run(train(1, resuming: false) + ["--json"])
    let steps = try numbers(place).filter { $0.loss != nil }.map(\.step)
    #expect(steps == Array(1..<steps.count + 1))
    #expect(try place.bytes("run/run.json").split(separator: 10).last == Array("}".utf8)[...])
  }

  /// Pseudo-random numbers, the same each time (Park and Miller's generator).
  private struct Lehmer {
    var state: UInt64

    mutating func next(below bound: Int) -> Int {
      state = state * 48271 % 2_147_483_647
      return Int(state) % bound
    }
  }
}
