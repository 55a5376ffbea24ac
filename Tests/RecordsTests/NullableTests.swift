import Foundation
import Testing

@testable import Records

@Suite struct NullableTests {
  @Test("A step without energy says joules: null, one with energy its number, and both come back")
  func roundTrip() throws {
    for joules in [nil, 0.25] {
      let record = MetricRecord(step: 1, tokens: 2, loss: 3, joules: joules)
      let line = try RecordJSON.line(record, for: "here")
      let text = String(decoding: line, as: UTF8.self)
      #expect(text.contains(joules == nil ? "\"joules\":null" : "\"joules\":0.25"))
      #expect(!text.contains("gpuJoules"))
      #expect(try RecordJSON.decode(MetricRecord.self, from: line, at: "here") == record)
    }
  }

  @Test("A line of before, without the name, is read as null; another type is refused")
  func older() throws {
    let old = Array("{\"step\":1,\"tokens\":2}".utf8)
    #expect(try RecordJSON.decode(MetricRecord.self, from: old, at: "here") == MetricRecord(step: 1, tokens: 2))
    let wrong = Array("{\"step\":1,\"tokens\":2,\"joules\":\"many\"}".utf8)
    #expect(throws: (any Error).self) { try RecordJSON.decode(MetricRecord.self, from: wrong, at: "here") }
  }
}
