import Arrays
import Devices
import Foundation
import Testing

@testable import Interchange

@Suite struct GenerationTests {
  private func model() throws -> LoadedModel {
    try StoredModel(ModelFolder.fixtures.appendingPathComponent("sharded-bf16")).load(on: CPUDevice(threads: 2))
  }

  @Test("The logits of the next token have the scores' log-probabilities, at every length")
  func logits() throws {
    let model = try model()
    let tokens = (0..<40).map { Int32(3 + $0 * 29 % 68) }
    let scores = try model.score(tokens)
    for length in [1, 2, 15, 16, 17, 32, 39] {
      let logits = try model.mistral(batch: 1, sequence: 39).logits(after: Array(tokens[..<length])).map { Double($0) }
      let largest = try #require(logits.max())
      let normaliser = largest + log(logits.reduce(0) { $0 + exp($1 - largest) })
      let nll = normaliser - logits[Int(tokens[length])]
      #expect(abs(nll - Double(scores[length - 1])) < 1e-4)
    }
  }

  @Test("The same seed gives the same text, another seed another one, and temperature 0 needs no seed")
  func seeds() throws {
    let model = try model()
    func text(_ temperature: Double, _ seed: UInt64) throws -> [Int32] {
      var generation = try TextGeneration(temperature: temperature, topP: 1, seed: seed)
      return try generation.run(model, prompt: [5, 6, 7], most: 70, ends: []) { _ in true }
    }
    #expect(try text(1, 1) == text(1, 1) && text(1, 1) != text(1, 2))
    #expect(try text(0, 1) == text(0, 2) && text(0, 1).count == 70)
  }

  @Test("Draws follow the probabilities, and top-p leaves out the unlikely ones")
  func draws() throws {
    let logits = [Float(log(0.5)), Float(log(0.3)), Float(log(0.15)), Float(log(0.05))]
    func counts(_ topP: Double) throws -> [Int] {
      var generation = try TextGeneration(temperature: 1, topP: topP, seed: 4)
      var counts = [0, 0, 0, 0]
      for _ in 0..<20_000 { counts[Int(try generation.choose(logits))] += 1 }
      return counts
    }
    for (count, probability) in zip(try counts(1), [0.5, 0.3, 0.15, 0.05]) {
      // Five standard errors of a binomial count.
      let error = (20_000 * probability * (1 - probability)).squareRoot()
      #expect(abs(Double(count) - 20_000 * probability) < 5 * error)
    }
    let kept = try counts(0.79)
    #expect(kept[2] == 0 && kept[3] == 0)
    #expect(abs(Double(kept[0]) - 12_500) < 5 * (20_000 * 0.625 * 0.375).squareRoot())
  }

  @Test("A text ends at its end token, and numbers that cannot be used are refused")
  func ends() throws {
    let model = try model()
    var greedy = try TextGeneration(temperature: 0, topP: 1, seed: 1)
    let whole = try greedy.run(model, prompt: [5], most: 30, ends: []) { _ in true }
    let stop = whole[10]
    let part = try greedy.run(model, prompt: [5], most: 30, ends: [stop]) { _ in true }
    #expect(part == Array(whole.prefix { $0 != stop }))
    for (temperature, topP) in [(-1, 1), (.nan, 1), (.infinity, 1), (1, 0), (1, 1.1), (1, .nan)] as [(Double, Double)] {
      #expect(throws: Refusal.self) { try TextGeneration(temperature: temperature, topP: topP, seed: 1) }
    }
    #expect(throws: Refusal.self) { try greedy.run(model, prompt: [], most: 1, ends: []) { _ in true } }
    #expect(throws: Refusal.self) { try greedy.run(model, prompt: [71], most: 1, ends: []) { _ in true } }
    #expect(throws: Refusal.self) { try greedy.choose([.nan, 1]) }
  }
}
