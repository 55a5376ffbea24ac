import Arrays
import Foundation
import Records
import Testing

@testable import Training

/// Moving patterns, guides and masters go through a run as if they were not there: the bits are the same whatever
/// happens on the way.
@Suite struct MethodTrainingTests {
  /// A structure and how it is trained.
  struct Way: Sendable, CustomTestStringConvertible {
    let structure: String
    let method: String
    var testDescription: String { "\(structure) by \(method)" }

    func configure(_ c: inout TrainingConfiguration) {
      switch method {
      case "self-guided": c.selfGuided = true
      case "magnitude": c.method = .init(name: method, updates: 6, start: 0.25, stop: 0.75)
      case "sr-ste": c.method = .init(name: method, maskedDecay: 6e-5, refreshEvery: 3)
      default: c.method = .init(name: method, updates: 160, dropFraction: 0.5, start: 0, stop: 1)
      }
    }

    func trial(threads: Int = 2) throws -> Trial { try Trial(structure, threads: threads, configure: configure) }
  }

  static let ways =
    ["csr", "fanin", "nm-2:4", "bsr-8"].flatMap { structure in
      ["magnitude", "set", "rigl"].map { Way(structure: structure, method: $0) }
    } + [
      Way(structure: "bsr-8", method: "prune-and-grow"), Way(structure: "nm-2:4t", method: "sr-ste"),
      Way(structure: "lowrank-8", method: "self-guided"), Way(structure: "monarch-4", method: "self-guided"),
      Way(structure: "blockdense-4", method: "self-guided"), Way(structure: "btt-2", method: "self-guided"),
    ]

  @Test(
    "Stopped between any two steps and continued, a run of any method has the uninterrupted numbers", arguments: ways)
  func interruption(_ way: Way) throws {
    let whole = try way.trial(), pieces = try way.trial()
    #expect(try whole.run() == .finished)
    var stops = 0
    while try pieces.run(stopAfter: 1 + stops % 3) == .interrupted { stops += 1 }
    #expect(stops >= 4)
    #expect(try pieces.losses == whole.losses)
    #expect(try pieces.finalModel == whole.finalModel)
    if way.method != "self-guided" { #expect(try whole.metrics.contains { ($0.changed ?? 0) > 0 }) }
  }

  @Test("The losses of a run of any method have the same bits with 1 and 7 threads", arguments: ways)
  func threads(_ way: Way) throws {
    let one = try way.trial(threads: 1), seven = try way.trial(threads: 7)
    _ = try one.run()
    _ = try seven.run()
    #expect(try one.losses == seven.losses)
    #expect(try one.finalModel == seven.finalModel)
  }

  @Test(
    "A run ends with the parameters that were planned, and its steps' operations add up to the plan's", arguments: ways)
  func plan(_ way: Way) throws {
    let trial = try way.trial()
    _ = try trial.run()
    let metrics = try trial.metrics
    if let last = metrics.compactMap(\.parameters).last { #expect(last == trial.plan.record.parameters.whole) }
    let flops = metrics.compactMap(\.flops)
    #expect(flops.count == 12)
    #expect(flops.reduce(0, +) == trial.plan.record.trainingFlops)
  }

  @Test("A method that begins dense is larger on average than at the end, and no other is")
  func average() throws {
    for way in MethodTrainingTests.ways {
      let record = try way.trial().plan.record
      let average = try #require(record.averageParameters)
      #expect((average > Double(record.parameters.whole)) == (way.method == "magnitude"), "\(way.testDescription)")
    }
  }

  @Test("A guide is no part of the model that is saved, and gone from the checkpoint when its time is over")
  func guideIsDropped() throws {
    let trial = try Way(structure: "lowrank-8", method: "self-guided").trial()
    #expect(try trial.run(stopAfter: 3) == .interrupted)
    func names(_ step: String, _ file: String) throws -> [Substring] {
      let data = try Data(contentsOf: trial.folder.checkpoints.appendingPathComponent("\(step)/\(file).safetensors"))
      return String(decoding: data.prefix(20000), as: UTF8.self).split(separator: "\"")
    }
    #expect(try names("000003", "optimizer").contains { $0.hasSuffix(".guide.first") })
    #expect(try names("000003", "model").allSatisfy { !$0.contains("guide") })
    #expect(try trial.run() == .finished)
    #expect(try names("000012", "optimizer").allSatisfy { !$0.contains("guide") })
  }

  @Test("What a method or a guide cannot train is refused before anything runs")
  func refusals() {
    func refused(_ structure: String, _ word: String, _ configure: @escaping (inout TrainingConfiguration) -> Void) {
      let refusal = #expect(throws: Refusal.self) { _ = try Trial(structure, configure: configure) }
      #expect(refusal?.kind == .badInput && refusal?.sentence.contains(word) == true, "\(refusal?.sentence ?? "")")
    }
    refused("dense", "nothing to move") { $0.method = .init(name: "set") }
    refused("monarch-4", "does not move") { $0.method = .init(name: "set") }
    refused("csr", "moves blocks") { $0.method = .init(name: "prune-and-grow") }
    refused("nm-2:4t", "sr-ste") { $0.method = .init(name: "rigl") }
    refused("nm-2:4", "nm-2:4t") { $0.method = .init(name: "sr-ste") }
    refused("csr", "product of factors") { $0.selfGuided = true }
    refused("csr", "no method") { $0.method = .init(name: "lottery") }
    refused("csr", "out of range") { $0.method = .init(name: "set", dropFraction: 1.5) }
    refused("csr", "no step to work at") { $0.method = .init(name: "magnitude", start: 0.7, stop: 0.2) }
    refused("csr", "rule") { $0.learningRateRule = "guess" }
    refused("csr", "dense-first") { $0.denseFirst = 2 }
  }
}
