import Arrays
import Checkpoints
import Devices
import Foundation
import Model
import Structures
import Testing

@testable import Interchange
@testable import Training

@Suite struct ExportTests {
  /// One label of every family that the tiny model's shapes have.
  static let labels: [String] = {
    let shape = Shape(outputs: 64, inputs: 32)
    let members = Catalog.all.flatMap { type -> [String] in
      type.members(of: shape, density: type.card.family == "dense" ? 1 : 0.5, seed: 1).prefix(1).map { $0.label }
    }
    return members
  }()

  private let tokens = (0..<40).map { Int32($0 * 37 % 251) }

  private func folder(_ label: String, _ device: any Device) throws -> (ModelFolder, Mistral)? {
    let folder = try ModelFolder()
    // Some labels name no member at the transposed shape.
    guard let model = try? folder.writeModel(label, density: 0.5, on: device) else { return nil }
    return (folder, model)
  }

  @Test("Most families are among those tried")
  func families() throws {
    let device = try CPUDevice(threads: 1)
    let tried = try Self.labels.filter { try folder($0, device) != nil }
    #expect(tried.count >= 10 && tried.contains("dense") && tried.contains("csr"), "\(tried)")
  }

  @Test("The compressed form gives back every bit, through a second export too", arguments: labels)
  func compressed(_ label: String) throws {
    let device = try CPUDevice(threads: 2)
    guard let (folder, model) = try folder(label, device) else { return }
    let first = try StoredModel(folder.url).load(on: device)
    #expect(
      try device.numbers(first.parameters.values).map(\.bitPattern)
        == device.numbers(model.parameters.values).map(\.bitPattern))
    try HuggingFaceExport(first, .compressed).write(to: folder["out"])
    let same = try Data(contentsOf: folder["model.safetensors"]) == Data(contentsOf: folder["out/model.safetensors"])
    #expect(same)
    let second = try StoredModel(folder["out"]).load(on: device)
    #expect(try second.score(tokens).map(\.bitPattern) == first.score(tokens).map(\.bitPattern))
  }

  @Test("The densified form computes the same and names nobody", arguments: labels)
  func densified(_ label: String) throws {
    let device = try CPUDevice(threads: 2)
    guard let (folder, _) = try folder(label, device) else { return }
    let structured = try StoredModel(folder.url).load(on: device)
    try HuggingFaceExport(structured, .densified).write(to: folder["dense"])
    for name in try FileManager.default.contentsOfDirectory(atPath: folder["dense"].path) {
      let data = try Data(contentsOf: folder["dense/\(name)"])
      #expect(data.range(of: Data("filigree".utf8)) == nil, "\(name)")
    }
    let stored = try StoredModel(folder["dense"])
    #expect(stored.plan.mlpLinears.allSatisfy { $0.structure is Dense })
    let file = try Safetensors(contentsOf: folder["dense/model.safetensors"])
    #expect(file.metadata == ["format": "pt"])
    let scores = try stored.load(on: device).score(tokens)
    // Longest sums on the way through two layers and the head, twice for factors that were multiplied out.
    let depth = 2 * 2 * (4 * 32 + 2 * 32 + 8 + 40 + 2 * 64 + 256)
    for (dense, sparse) in zip(scores, try structured.score(tokens)) {
      #expect(abs(Double(dense) - Double(sparse)) <= RoundingBound.gamma(depth) * 20, "\(label)")
    }
  }

  @Test("A configuration is read back as it was written", arguments: [nil, 4096])
  func configuration(_ window: Int?) throws {
    var architecture = ModelFolder.architecture
    architecture.slidingWindow = window
    architecture.tiedEmbeddings = window == nil
    architecture.ropeTheta = 1e6
    var written = MistralConfiguration(architecture, positions: 77)
    written.beginning = 1
    written.ends = [2]
    let read = try MistralConfiguration(written.file(), path: "written")
    #expect(read.architecture == architecture && read.positions == 77 && read.beginning == 1 && read.ends == [2])
    #expect(read.remarks.isEmpty)
  }

  @Test("A directory that is not empty is left alone")
  func occupied() throws {
    let device = try CPUDevice(threads: 1)
    let folder = try ModelFolder()
    _ = try folder.writeModel("dense", density: 1, on: device)
    let export = try HuggingFaceExport(StoredModel(folder.url).load(on: device), .densified)
    let refusal = #expect(throws: Refusal.self) { try export.write(to: folder.url) }
    #expect(refusal?.kind == .badInput)
  }
}
