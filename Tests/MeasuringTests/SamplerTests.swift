import Measuring
import Testing

/// A clock that only bodies move, in whole nanoseconds so that sums are exact.
private final class FakeClock {
  var nanoseconds = 0
  func seconds() -> Double { Double(nanoseconds) * 1e-9 }
}

private struct Broken: Error {}

@Suite("Sampler")
struct SamplerTests {
  @Test("a timing's seconds are the median of what the body took")
  func median() throws {
    let clock = FakeClock()
    // One warm call and one that calibrates, then the samples.
    var durations = [900, 900, 300, 100, 200].map { $0 * 1_000_000 }
    let timings = try Sampler.interleave(
      [("a", { clock.nanoseconds += durations.removeFirst() })], minimumRepeats: 3, budget: 0, clock: clock.seconds)
    #expect(durations.isEmpty)
    #expect(timings.count == 1)
    #expect(timings[0].name == "a")
    #expect(timings[0].repeats == 3)
    #expect(abs(timings[0].seconds - 0.2) < 1e-9)
    #expect(abs(timings[0].spread - 0.5) < 1e-6)
  }

  @Test("candidates take turns, each round starting one later, after all are warm")
  func turns() throws {
    let clock = FakeClock()
    var order = ""
    let candidates: [(name: String, body: () throws -> Void)] = ["a", "b", "c"].map { name in
      (
        name,
        {
          order += name
          clock.nanoseconds += 10_000_000
        }
      )
    }
    let timings = try Sampler.interleave(candidates, minimumRepeats: 4, budget: 0, clock: clock.seconds)
    #expect(order == "aabbcc" + "abc" + "bca" + "cab" + "abc")
    #expect(timings.map(\.name) == ["a", "b", "c"])
    #expect(timings.allSatisfy { $0.repeats == 4 })
  }

  @Test("a short body is called twice more before each sample, and those calls are not timed")
  func warmed() throws {
    let clock = FakeClock()
    var order = ""
    // Its first calls after another body take longer, as if that had emptied a cache, which one call does not fill again.
    let short = {
      let before = order.reversed().prefix { $0 == "s" }.count
      clock.nanoseconds += before >= 2 ? 1_000_000 : before == 1 ? 2_000_000 : 4_000_000
      order += "s"
    }
    let long = {
      clock.nanoseconds += 10_000_000
      order += "l"
    }
    let timings = try Sampler.interleave(
      [("s", short), ("l", long)], minimumRepeats: 3, budget: 0, clock: clock.seconds)
    #expect(order == "ssll" + "sssl" + "lsss" + "sssl")
    #expect(timings[0].samples.allSatisfy { abs($0 - 1e-3) < 1e-9 })
    order = ""
    let cold = try Sampler.interleave(
      [("s", short), ("l", long)], minimumRepeats: 2, budget: 0, prepare: { order += "-" }, clock: clock.seconds)
    #expect(order == "sl" + "-s-l" + "-l-s")
    #expect(cold[0].samples.allSatisfy { abs($0 - 4e-3) < 1e-9 })
  }

  @Test("a disturbance that lasts for some rounds strikes all candidates in the same samples")
  func disturbance() throws {
    let clock = FakeClock()
    var calls = 0
    // Warm and calibrating calls are the first four; the disturbance covers calls 8 to 11, which are two rounds.
    func body(_ milliseconds: Int) -> () throws -> Void {
      {
        clock.nanoseconds += milliseconds * ((8..<12).contains(calls) ? 100_000_000 : 10_000_000)
        calls += 1
      }
    }
    let timings = try Sampler.interleave(
      [("fast", body(1)), ("slow", body(3))], minimumRepeats: 7, budget: 0, clock: clock.seconds)
    for index in 0..<7 {
      #expect(abs(timings[1].samples[index] / timings[0].samples[index] - 3) < 1e-6)
    }
    #expect(abs(timings[0].seconds - 0.01) < 1e-9)
  }

  @Test(
    "short bodies are called often enough per sample, and their time is that of one call", arguments: [7, 333, 49_999])
  func batches(nanoseconds: Int) throws {
    let clock = FakeClock()
    let timings = try Sampler.interleave(
      [("short", { clock.nanoseconds += nanoseconds }), ("long", { clock.nanoseconds += 60_000 })], minimumRepeats: 2,
      budget: 0, clock: clock.seconds)
    let calls = timings[0].callsPerSample
    #expect(Double(calls * nanoseconds) * 1e-9 >= Sampler.shortestSample)
    #expect(calls > 1)
    #expect(calls * nanoseconds < 200_000)
    #expect(abs(timings[0].seconds - Double(nanoseconds) * 1e-9) < 1e-12)
    #expect(timings[1].callsPerSample == 1)
  }

  @Test("rounds go on while the budget lasts, and every candidate then has as many samples")
  func budget() throws {
    let clock = FakeClock()
    let timings = try Sampler.interleave(
      [("a", { clock.nanoseconds += 10_000_000 }), ("b", { clock.nanoseconds += 30_000_000 })], minimumRepeats: 2,
      budget: 0.395, clock: clock.seconds)
    // Rounds of 40 ms: the tenth begins at 360 ms, the eleventh would at 400.
    #expect(timings.map(\.repeats) == [10, 10])
  }

  @Test("the least number of repeats is taken whatever the budget", arguments: [0, -1, Double.nan])
  func minimum(budget: Double) throws {
    let clock = FakeClock()
    let body = { clock.nanoseconds += 1_000_000 }
    #expect(try Sampler.interleave([("a", body)], budget: budget, clock: clock.seconds)[0].repeats == 7)
    let none = try Sampler.interleave([("a", body)], minimumRepeats: -5, budget: budget, clock: clock.seconds)
    #expect(none[0].repeats == 1)
  }

  @Test("a clock that stands still ends too")
  func standstill() throws {
    let timings = try Sampler.interleave([("a", {})], minimumRepeats: 1, budget: 0, clock: { 0 })
    #expect(timings[0].callsPerSample == Sampler.mostCallsPerSample)
    #expect(timings[0].seconds == 0)
    #expect(timings[0].spread == 0)
    let endless = try Sampler.interleave(
      [("a", {})], minimumRepeats: 1, budget: .infinity, prepare: {}, clock: { 0 })
    #expect(endless[0].repeats == Sampler.mostRepeats)
  }

  @Test("preparation runs before every sample, outside its time, and forbids batches")
  func preparation() throws {
    let clock = FakeClock()
    var order = ""
    let timings = try Sampler.interleave(
      [
        (
          "a",
          {
            order += "a"
            clock.nanoseconds += 10
          }
        )
      ], minimumRepeats: 3, budget: 0,
      prepare: {
        order += "p"
        clock.nanoseconds += 1_000_000
      }, clock: clock.seconds)
    #expect(order == "a" + "pa" + "pa" + "pa")
    #expect(timings[0].callsPerSample == 1)
    #expect(abs(timings[0].seconds - 1e-8) < 1e-12)
  }

  @Test("what a body throws is thrown on, and no candidates give no timings")
  func errors() throws {
    #expect(throws: Broken.self) {
      try Sampler.interleave([("a", { throw Broken() })], budget: 0, clock: { 0 })
    }
    #expect(try Sampler.interleave([], budget: 1).isEmpty)
  }

  @Test("a timing without samples is all zeros")
  func emptyTiming() {
    let timing = Timing(name: "none", samples: [])
    #expect(timing.seconds == 0)
    #expect(timing.spread == 0)
    #expect(timing.repeats == 0)
  }

  @Test("the clock never goes back")
  func monotonic() {
    let readings = (0..<1000).map { _ in Clock.seconds() }
    #expect(readings == readings.sorted())
  }

  @Test(
    "time stamps are ISO 8601 in UTC, fractions dropped",
    arguments: [
      (0.0, "1970-01-01T00:00:00Z"), (951_827_696.9, "2000-02-29T12:34:56Z"), (-0.5, "1969-12-31T23:59:59Z"),
    ])
  func timeStamp(seconds: Double, text: String) {
    #expect(TimeStamp.utc(secondsSince1970: seconds) == text)
  }
}
