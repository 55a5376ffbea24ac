import Arrays
import Measuring
import Testing

@Suite("Statistics")
struct StatisticsTests {
  private static func samples(_ count: Int, _ seed: UInt64) -> [Double] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in generator.normal() }
  }

  @Test("at least half of the samples lie on either side of the median, both counted with it", arguments: 1...12)
  func medianHalves(count: Int) throws {
    let values = StatisticsTests.samples(count, UInt64(count))
    let median = try #require(Statistics.median(values))
    #expect(values.filter { $0 <= median }.count * 2 >= count)
    #expect(values.filter { $0 >= median }.count * 2 >= count)
  }

  @Test("the median of an even count is the mean of the two middle samples")
  func evenMedian() {
    #expect(Statistics.median([8, 1, 4, 2]) == 3)
    #expect(Statistics.median([5]) == 5)
  }

  @Test("the median and its deviation move and scale with the samples")
  func equivariance() throws {
    let values = StatisticsTests.samples(9, 3)
    // Powers of two and a shift that loses no bit of them, so that equality is exact.
    let coarse = values.map { ($0 * 1024).rounded() }
    let moved = coarse.map { -4 * $0 + 64 }
    #expect(Statistics.median(moved) == Statistics.median(coarse).map { -4 * $0 + 64 })
    #expect(Statistics.medianAbsoluteDeviation(moved) == Statistics.medianAbsoluteDeviation(coarse).map { 4 * $0 })
  }

  @Test("one outlier of any size moves neither the median nor its deviation far")
  func robustness() throws {
    let values: [Double] = [10, 11, 12, 13, 14, 15, 16]
    let spoilt = Array(values.dropLast()) + [1e300]
    #expect(Statistics.median(spoilt) == 13)
    #expect(Statistics.medianAbsoluteDeviation(spoilt) == 2)
  }

  @Test("the spread is relative to the median, and 0 when nothing deviates")
  func spread() {
    #expect(Statistics.spread([1, 2, 4]) == 0.5)
    #expect(Statistics.spread([-1, -2, -4]) == 0.5)
    #expect(Statistics.spread([0, 0, 0]) == 0)
    #expect(Statistics.spread([-1, 0, 1]) == .infinity)
  }

  @Test("quantiles at the ends are the extremes, between them ordered, and outside held")
  func quantiles() throws {
    let values = StatisticsTests.samples(17, 5)
    #expect(Statistics.quantile(values, 0) == values.min())
    #expect(Statistics.quantile(values, 1) == values.max())
    #expect(Statistics.quantile(values, -3) == values.min())
    #expect(Statistics.quantile(values, 3) == values.max())
    let steps = try (0...40).map { try #require(Statistics.quantile(values, Double($0) / 40)) }
    #expect(steps == steps.sorted())
    #expect(Statistics.quantile([0, 10, 20, 30], 0.25) == 7.5)
  }

  @Test("the standard deviation and error of 2, 4, 4, 4, 5, 5, 7, 9 are those of the definition")
  func deviation() throws {
    let values: [Double] = [2, 4, 4, 4, 5, 5, 7, 9]
    #expect(Statistics.mean(values) == 5)
    let deviation = try #require(Statistics.standardDeviation(values))
    let error = try #require(Statistics.standardError(values))
    #expect(abs(deviation * deviation - 32.0 / 7) < 1e-14)
    #expect(abs(error * error - 32.0 / 56) < 1e-14)
  }

  @Test("no samples have no summary, and one sample has no standard deviation")
  func tooFew() {
    #expect(Statistics.median([]) == nil)
    #expect(Statistics.medianAbsoluteDeviation([]) == nil)
    #expect(Statistics.spread([]) == nil)
    #expect(Statistics.quantile([], 0.5) == nil)
    #expect(Statistics.mean([]) == nil)
    #expect(Statistics.standardDeviation([1]) == nil)
    #expect(Statistics.standardError([1]) == nil)
  }

  @Test("a sample that is not a number makes every summary not a number")
  func notANumber() throws {
    let values = [1, .nan, 3]
    for summary in [Statistics.median, Statistics.medianAbsoluteDeviation, Statistics.spread, Statistics.mean] {
      #expect(try #require(summary(values)).isNaN)
    }
  }
}
