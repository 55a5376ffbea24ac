import Structures
import Testing

@testable import Model

@Suite struct InitializationTests {
  @Test("Products that begin at zero do so in down alone: with gate and up at zero too, nothing would ever learn")
  func zeroLast() throws {
    let architecture = Architecture(
      hiddenSize: 32, intermediateSize: 64, layers: 2, heads: 2, keyValueHeads: 2, headDimension: 16,
      vocabularySize: 64)
    let plan = try MistralPlan(
      architecture, structure: "lowrank-4", density: 1, seed: 1, options: MLPOptions(initialization: .zeroLast))
    let values = plan.initialValues()
    let last = plan.tensors.filter { $0.name.hasSuffix(".values.u") }
    #expect(last.count == 6)
    for tensor in last {
      #expect(values[tensor.range].allSatisfy { $0 == 0 } == tensor.name.contains("down_proj"), "\(tensor.name)")
    }
  }
}
