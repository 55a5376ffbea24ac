import Arrays
import Checkpoints
import Devices
import Foundation
import Testing

@testable import Model

/// What Hugging Face transformers computed in float64 for a small Mistral: see Fixtures/README.md.
struct Fixture: CustomTestStringConvertible, Sendable {
  let name: String
  let isa: String

  var testDescription: String { "\(name) \(isa)" }

  static let all = CPUDevice.available.flatMap { isa in ["gqa", "window"].map { Fixture(name: $0, isa: isa) } }

  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Fixtures")

  func tensors(_ part: String = "") throws -> Safetensors {
    try Safetensors(contentsOf: Fixture.folder.appendingPathComponent("mistral-\(name)\(part).safetensors"))
  }

  /// The shapes of Fixtures/mistral-<name>.config.json.
  var architecture: Architecture {
    name == "gqa"
      ? Architecture(
        hiddenSize: 32, intermediateSize: 48, layers: 2, heads: 4, keyValueHeads: 2, headDimension: 8,
        vocabularySize: 67, slidingWindow: nil, initializerRange: 0.15)
      : Architecture(
        hiddenSize: 24, intermediateSize: 40, layers: 2, heads: 2, keyValueHeads: 2, headDimension: 16,
        vocabularySize: 61, ropeTheta: 1000, slidingWindow: 11, tiedEmbeddings: true, initializerRange: 0.15)
  }

  /// The model with the fixture's weights.
  ///
  /// `structure` must be able to hold any matrix: then its MLP is the dense one in other clothes.
  func model(
    batch: Int, sequence: Int, threads: Int = 2, structure: String = "dense"
  ) throws -> (model: Mistral, device: CPUDevice) {
    let device = try CPUDevice(threads: threads, isa: isa)
    let plan = try MistralPlan(architecture, structure: structure, density: 1, seed: 1)
    let model = try Mistral(plan, batch: batch, sequence: sequence, on: device)
    let file = try tensors()
    guard structure == "dense" else {
      try project(file, onto: model, device)
      return (model, device)
    }
    for tensor in model.parameters.tensors {
      let numbers = try file.floats("weights/\(tensor.name)", shape: tensor.shape)
      numbers.withUnsafeBufferPointer { device.write($0, to: model.parameters.values[tensor.range]) }
    }
    let stored = file.tensors.keys.filter { $0.hasPrefix("weights/") }
    #expect(Set(stored) == Set(model.parameters.tensors.map { "weights/\($0.name)" }))
    return (model, device)
  }

  /// The fixture's weights, the MLP's through the structure's own projection.
  private func project(_ file: Safetensors, onto model: Mistral, _ device: CPUDevice) throws {
    for tensor in model.parameters.tensors where file.tensors["weights/\(tensor.name)"] != nil {
      let numbers = try file.floats("weights/\(tensor.name)", shape: tensor.shape)
      numbers.withUnsafeBufferPointer { device.write($0, to: model.parameters.values[tensor.range]) }
    }
    for linear in model.plan.mlpLinears {
      let values = linear.structure.project(try file.doubles("weights/\(linear.name).weight"))
      values.withUnsafeBufferPointer { device.write($0, to: model.parameters.values[linear.range]) }
    }
  }

  /// Rows [batch, sequence + 1] as the inputs and the targets one token later.
  static func split(_ tokens: ArraySlice<Int32>, batch: Int, sequence: Int) -> (inputs: [Int32], targets: [Int32]) {
    let tokens = Array(tokens)
    let rows = (0..<batch).map { Array(tokens[$0 * (sequence + 1)..<($0 + 1) * (sequence + 1)]) }
    return (rows.flatMap { $0.dropLast() }, rows.flatMap { $0.dropFirst() })
  }

  /// Roundings on the longest path through the model and back: every sum's length, twice over for the gradients.
  func depth(sequence: Int) -> Int {
    let a = architecture
    let layer = 4 * a.hiddenSize + 2 * a.heads * a.headDimension + a.headDimension + sequence + 2 * a.intermediateSize
    return 2 * (a.layers * layer + a.hiddenSize + a.vocabularySize)
  }
}

/// Every entry within gamma_depth of the largest entry's size: rounding to first order, and far below the change that a
/// wrong term, sign, scale or index makes.
func expectNear(
  _ got: [Float], _ expected: [Double], depth: Int, _ what: String, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(got.count == expected.count, "\(what)", sourceLocation: sourceLocation)
  let size = expected.reduce(0) { max($0, abs($1)) }
  let worst = zip(got, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
  let bound = RoundingBound.gamma(depth) * size
  #expect(worst <= bound, "\(what): \(worst) beyond \(bound)", sourceLocation: sourceLocation)
}
