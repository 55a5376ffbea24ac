import Arrays
import Devices
import Testing

@testable import Model

/// What the plan of a run's memory counts for the output's logits.
@Suite struct LogitMemoryTests {
  @Test(
    "Logits of more tokens at once are planned with what passes beside them, and never for more tokens than there are")
  func logits() throws {
    let architecture = Architecture(
      hiddenSize: 32, intermediateSize: 48, layers: 1, heads: 2, keyValueHeads: 2, headDimension: 16,
      vocabularySize: 1000)
    let plan = try MistralPlan(architecture, structure: "dense", density: 1, seed: 1)
    func passing(_ logitTokens: Int) -> Int { plan.memory(batch: 8, sequence: 256, logitTokens: logitTokens).passing }
    func held(_ tokens: Int) -> Int {
      [32, 32, 1000].reduce(0) { $0 + CPUDevice.heldBytes(for: 4 * tokens * $1) }
    }
    #expect(passing(1024) - passing(256) == held(1024) - held(256))
    #expect(passing(2048) - passing(1024) == held(2048) - held(1024))
    #expect(passing(8192) == passing(2048))
    // A piece that is left over has matrices of its own.
    #expect(passing(1536) - passing(1024) == held(1536) + held(512) - held(1024))
  }
}
