import Arrays
import Foundation
import Testing

@testable import Records

struct JSONLinesTests {
  private struct Sample: Codable, Equatable {
    var step: Int
    var name = "a/b"
    var loss: Double? = nil
  }

  @Test("records come back bitwise, and equal records are equal lines with sorted keys and plain slashes")
  func roundTrip() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "metrics.jsonl")
      let samples = [
        Sample(step: 1, loss: 0.1), Sample(step: 2, loss: -Double.leastNonzeroMagnitude),
        Sample(step: 3, loss: Double.greatestFiniteMagnitude), Sample(step: .max, name: "line\nbreak \u{1F600}"),
      ]
      let writer = try JSONLinesWriter<Sample>(url)
      for sample in samples { try writer.append(sample) }
      try writer.sync()
      #expect(try JSONLines.read(Sample.self, from: url) == samples)
      let text = try String(contentsOf: url, encoding: .utf8)
      #expect(text.hasPrefix("{\"loss\":0.1,\"name\":\"a/b\",\"step\":1}\n"))
      #expect(text.hasSuffix("}\n") && text.split(separator: "\n").count == 4)
    }
  }

  @Test("the records of the package come back from a line")
  func metricRecord() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "metrics.jsonl")
      let record = MetricRecord(step: 7, tokens: 7168, loss: 5.25, learningRate: 3e-4, peakBytes: 1 << 40)
      try JSONLinesWriter<MetricRecord>(url).append(record)
      #expect(try JSONLines.read(MetricRecord.self, from: url) == [record])
    }
  }

  @Test(
    "a malformed line is refused with file and line",
    arguments: [
      ("{\"step\":1,\"name\":\"\"}\nnonsense\n", 2, "not JSON"), ("\n", 1, "not JSON"),
      ("{\"name\":\"\"}\n", 1, "'step' is missing"), ("{\"step\":\"1\",\"name\":\"\"}\n", 1, "'step' is not of type"),
      (
        "{\"step\":1,\"name\":\"\"}\n{\"step\":1,\"name\":\"\"}\n{\"step\":1e99,\"name\":\"\"}\n", 3,
        "number out of range"
      ),
      ("{\"step\":1,\"name\":\"\"}\n{\"step\":", 2, "not JSON"), ("[\n", 1, "not JSON"),
      ("\u{0}\u{1}\n", 1, "not JSON"),
    ])
  func malformed(text: String, line: Int, reason: String) throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "metrics.jsonl")
      try Data(text.utf8).write(to: url)
      let refusal = #expect(throws: Refusal.self) { try JSONLines.read(Sample.self, from: url) }
      let sentence = refusal?.sentence ?? ""
      #expect(sentence.contains("\(url.path), line \(line),") && sentence.contains(reason), "\(sentence)")
      #expect(refusal?.kind == .badInput && !sentence.contains("\n"))
    }
  }

  @Test("lines nested a hundred thousand deep are refused")
  func deep() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "metrics.jsonl")
      for piece in ["[", "{\"step\":", "{\"extra\":["] {
        try Data((String(repeating: piece, count: 100_000) + "\n").utf8).write(to: url)
        let refusal = #expect(throws: Refusal.self) { try JSONLines.read(Sample.self, from: url) }
        #expect(refusal?.sentence.contains("line 1, cannot be understood") == true)
      }
    }
  }

  @Test("a torn last line is dropped where allowed, and a whole one without its newline counts")
  func tornTail() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "metrics.jsonl")
      let whole = "{\"name\":\"\",\"step\":1}\n"
      let last = Array("{\"name\":\"\",\"step\":22}".utf8)
      for length in 0...last.count {
        try (Data(whole.utf8) + last[..<length]).write(to: url)
        let expected = length == last.count ? [1, 22] : [1]
        #expect(try JSONLines.read(Sample.self, from: url, allowingTornTail: true).map(\.step) == expected)

        try JSONLinesWriter<Sample>(url).append(Sample(step: 3))
        #expect(try JSONLines.read(Sample.self, from: url).map(\.step) == expected + [3])
      }
      try Data("{\"step\":1\n{\"name\":\"\",\"step\":2}\n".utf8).write(to: url)
      #expect(throws: Refusal.self) { try JSONLines.read(Sample.self, from: url, allowingTornTail: true) }
    }
  }

  @Test("a torn tail longer than what is read at once is cut off whole")
  func longTail() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "metrics.jsonl")
      try (Data("{\"name\":\"\",\"step\":1}\n{\"name\":\"".utf8) + Data(repeating: 97, count: 200_000)).write(to: url)
      try JSONLinesWriter<Sample>(url).append(Sample(step: 2))
      #expect(try JSONLines.read(Sample.self, from: url).map(\.step) == [1, 2])
    }
  }

  @Test("truncation keeps the chosen lines byte by byte, and writing goes on after them")
  func truncation() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "metrics.jsonl")
      let odd = "{ \"step\": 1.0e0, \"name\" : \"\\u0041\", \"extra\": [1,2] }\n"
      try Data((odd + "{\"name\":\"\",\"step\":5}\n{\"name\":\"\",\"step\":2}\n").utf8).write(to: url)
      let writer = try JSONLinesWriter<Sample>(url)
      try writer.truncate { $0.step <= 2 }
      try writer.append(Sample(step: 3, name: ""))
      #expect(
        try String(contentsOf: url, encoding: .utf8)
          == odd + "{\"name\":\"\",\"step\":2}\n{\"name\":\"\",\"step\":3}\n")
      try writer.truncate { _ in false }
      #expect(try Data(contentsOf: url).isEmpty)
      #expect(try names(in: folder) == ["metrics.jsonl"])
    }
  }

  @Test("a number that JSON cannot hold is refused by the name of its field, and the file stays as it was")
  func notANumber() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "metrics.jsonl")
      let writer = try JSONLinesWriter<Sample>(url)
      let refusal = #expect(throws: Refusal.self) { try writer.append(Sample(step: 1, loss: .nan)) }
      #expect(refusal?.sentence.contains("\(url.path): 'loss' is nan") == true)
      #expect(try Data(contentsOf: url).isEmpty)
    }
  }

  @Test("an indented record is written whole, read back, and refused with its path where it is wrong")
  func indented() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "run.json")
      try RecordJSON.write(Sample(step: 4), to: url)
      #expect(try String(contentsOf: url, encoding: .utf8) == "{\n  \"name\" : \"a/b\",\n  \"step\" : 4\n}\n")
      #expect(try RecordJSON.read(Sample.self, from: url) == Sample(step: 4))
      try Data("{}".utf8).write(to: url)
      let refusal = #expect(throws: Refusal.self) { try RecordJSON.read(Sample.self, from: url) }
      #expect(refusal?.sentence.hasPrefix(url.path) == true)
    }
  }
}
