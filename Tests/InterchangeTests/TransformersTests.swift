import Arrays
import Devices
import Foundation
import Records
import Testing

@testable import Interchange

/// Directories that transformers wrote, and the scores that it gives for them.
@Suite struct TransformersTests {
  static let cases = ["sharded-bf16", "old-fp16"]

  private func expected(_ name: String) throws -> (tokens: [Int32], nll: [Double]) {
    let bytes = try OpenFile(reading: ModelFolder.fixtures.appendingPathComponent("expected.json").path).contents()
    let document = try JSONValue(parsing: bytes, at: "expected.json")
    let entry = try #require(document[name])
    return (entry["tokens"]!.array!.map { Int32($0.integer!) }, entry["nll"]!.array!.map { $0.double! })
  }

  @Test("Every token's score is transformers', to 1e-4 nats", arguments: cases)
  func scores(_ name: String) throws {
    let expected = try expected(name)
    let stored = try StoredModel(ModelFolder.fixtures.appendingPathComponent(name))
    let nll = try stored.load(on: CPUDevice(threads: 2)).score(expected.tokens)
    #expect(nll.count == expected.nll.count && nll.count == 48)
    for (mine, theirs) in zip(nll, expected.nll) { #expect(abs(Double(mine) - theirs) < 1e-4) }
    // The scores differ from token to token, so that no constant passes.
    #expect(try #require(expected.nll.max()) - (try #require(expected.nll.min())) > 1)
  }

  @Test("The two configurations say what transformers took them to say")
  func configurations() throws {
    let new = try MistralConfiguration(
      contentsOf: ModelFolder.fixtures.appendingPathComponent("sharded-bf16/config.json"))
    #expect(new.architecture.headDimension == 16 && new.architecture.slidingWindow == 9)
    #expect(new.architecture.ropeTheta == 50000 && new.architecture.keyValueHeads == 2 && new.remarks.isEmpty)
    let old = try MistralConfiguration(contentsOf: ModelFolder.fixtures.appendingPathComponent("old-fp16/config.json"))
    #expect(
      old.architecture.headDimension == 8 && old.architecture.slidingWindow == nil && old.architecture.tiedEmbeddings)
    #expect(old.remarks.count == 1 && old.remarks[0].contains("head_dim") && old.beginning == 1 && old.ends == [2])
  }

  @Test("Evaluating a text window by window is the mean of its windows' scores", arguments: [5, 16, 100])
  func evaluates(_ sequence: Int) throws {
    let expected = try expected("sharded-bf16")
    let loaded = try StoredModel(ModelFolder.fixtures.appendingPathComponent("sharded-bf16"))
      .load(on: CPUDevice(threads: 2))
    let stream = try tokenStream(of: expected.tokens)
    let (loss, tokens) = try loaded.evaluate(stream, sequence: sequence, batch: 3) { _, _ in }
    var sum = 0.0
    for start in stride(from: 0, to: 48, by: sequence) {
      let window = Array(expected.tokens[start...min(start + sequence, 48)])
      sum += try loaded.score(window).reduce(0) { $0 + Double($1) }
    }
    #expect(tokens == 48)
    // The same products in other batches: rounding alone.
    #expect(abs(loss - sum / 48) <= RoundingBound.gamma(4000) * loss)
  }
}
