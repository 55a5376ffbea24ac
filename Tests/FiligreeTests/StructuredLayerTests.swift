import Filigree
import Foundation
import Testing

/// The library as another package sees it: public names only.
@Suite struct StructuredLayerTests {
  @Test(
    "A layer's row-major products are those of its materialized matrix",
    arguments: ["dense", "csr", "bsr-16", "monarch-4"])
  func products(_ label: String) throws {
    let layer = try StructuredLayer(label, outputs: 48, inputs: 32, density: 0.5, device: CPUDevice(threads: 2))
    var generator = SeededGenerator(seed: 3)
    let x = (0..<5 * 32).map { _ in Float(generator.normal()) }
    let y = try layer.forward(x)
    let weights = try layer.weights
    let matrix = layer.structure.materialize(weights), sizes = layer.structure.materialize(weights.map(abs))
    for t in 0..<5 {
      for o in 0..<48 {
        var sum = 0.0, size = 0.0
        for i in 0..<32 {
          sum += matrix[o * 32 + i] * Double(x[t * 32 + i])
          size += sizes[o * 32 + i] * abs(Double(x[t * 32 + i]))
        }
        #expect(abs(Double(y[t * 48 + o]) - sum) <= RoundingBound.gamma(100) * size)
      }
    }
  }

  @Test("Misuse is refused with a sentence")
  func misuse() throws {
    #expect(throws: Refusal.self) { try StructuredLayer("bsr-32", outputs: 48, inputs: 33, density: 0.5) }
    #expect(throws: Refusal.self) { try StructuredLayer("dense", outputs: 0, inputs: 33) }
    let layer = try StructuredLayer("dense", outputs: 4, inputs: 3)
    #expect(throws: Refusal.self) { try layer.backward([1, 2, 3, 4]) }
    #expect(throws: Refusal.self) { try layer.forward([1, 2]) }
    #expect(throws: Refusal.self) { try layer.setWeights([1]) }
    _ = try layer.forward([1, 2, 3])
    #expect(throws: Refusal.self) { try layer.backward([1, 2, 3]) }
  }

  @Test("The example in the tree runs, and its student learns")
  func example() throws {
    let output = try run("OneLayer")
    let errors = output.split(separator: "\n").compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
    #expect(errors.count == 5 && errors[4] < errors[0] / 100)
  }

  @Test("The tutorial's structure, from outside the package, is verified, timed and trained")
  func tutorial() throws {
    let lines = try run("YourStructure").split(separator: "\n")
    #expect(lines.filter { $0.contains("verified: true") }.count == 3)
    let losses = lines.filter { $0.hasPrefix("step ") }.compactMap {
      $0.split(separator: " ").last.flatMap { Double($0) }
    }
    let first = try #require(losses.first), last = try #require(losses.last)
    #expect(losses.count > 2 && last < first)
  }

  /// What an example prints; it is built beside this test bundle.
  private func run(_ name: String) throws -> String {
    let program = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent(name)
    let process = Process(), pipe = Pipe()
    process.executableURL = program
    process.standardOutput = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return output
  }
}
