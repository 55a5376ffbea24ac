import Arrays
import Devices
import Foundation
import Model
import Records
import Testing
import Training

@testable import Interchange

/// A folder of its own for a test, removed when the test lets go of it.
final class ModelFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("filigree-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  subscript(name: String) -> URL { url.appendingPathComponent(name) }

  static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

  /// A fixture's files in this folder, to be changed.
  func copy(_ fixture: String) throws {
    let source = ModelFolder.fixtures.appendingPathComponent(fixture)
    for name in try FileManager.default.contentsOfDirectory(atPath: source.path) {
      try FileManager.default.copyItem(at: source.appendingPathComponent(name), to: self[name])
    }
  }

  func change(_ name: String, _ old: String, to new: String) throws {
    let text = try String(contentsOf: self[name], encoding: .utf8)
    try #require(text.contains(old))
    try text.replacingOccurrences(of: old, with: new).write(to: self[name], atomically: true, encoding: .utf8)
  }

  static let architecture = Architecture(
    hiddenSize: 32, intermediateSize: 64, layers: 2, heads: 4, keyValueHeads: 2, headDimension: 8, vocabularySize: 256,
    normEpsilon: 1e-5, ropeTheta: 5000, slidingWindow: 7, tiedEmbeddings: false, initializerRange: 0.2)

  /// Writes a model with random weights as a directory in the compressed form.
  func writeModel(_ structure: String, density: Double, on device: any Device) throws -> Mistral {
    let plan = try MistralPlan(Self.architecture, structure: structure, density: density, seed: 9)
    let model = try Mistral(plan, batch: 1, sequence: 16, on: device)
    try MistralConfiguration(Self.architecture, positions: 16).file().withUnsafeBytes { bytes in
      try Data(bytes).write(to: self["config.json"])
    }
    try ModelFile(model: model, device: device).values().write(to: self["model.safetensors"])
    return model
  }
}
