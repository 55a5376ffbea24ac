import Arrays
import Devices
import Testing

@testable import Structures

/// Results too large for the caches are written past them: every bit must be what smaller results have.
@Suite struct LargeResultLaws {
  /// 4096 features of 1088 tokens are 17 MiB; 128 tokens at a time are 2 MiB.
  private static let shape = Shape(outputs: 4096, inputs: 64)
  private static let tokens = 1088

  private static let subjects: [Subject] = CPUDevice.available.flatMap { isa in
    ["bsr-32", "csr", "blockdiagonal-4"].map { label in
      guard let structure = try? Catalog.member(label, of: shape, density: 0.25, seed: 3) else {
        fatalError("\(label) is no member of the catalog")
      }
      return Subject(structure: structure, values: Subject.values(of: structure, seed: 7), isa: isa)
    }
  }

  @Test("A large result has the bits of the small ones it is made of, overwritten or added to", arguments: subjects)
  func pastTheCaches(_ subject: Subject) throws {
    let shape = subject.structure.shape, tokens = Self.tokens, device = try subject.device()
    let values = try device.makeVector(subject.values)
    let rows = normals(tokens * shape.inputs, seed: 61)
    let x = try device.makeActivations(rows, tokens: tokens, features: shape.inputs)
    let y = try device.makeActivations(
      [Float](repeating: .nan, count: tokens * shape.outputs), tokens: tokens, features: shape.outputs)
    try subject.structure.forward(x, values: values, saved: nil, into: y, accumulate: false, on: device)
    let whole = try device.rows(y)
    try subject.structure.forward(x, values: values, saved: nil, into: y, accumulate: true, on: device)
    let twice = try device.rows(y)
    for first in stride(from: 0, to: tokens, by: 128) {
      let piece = first..<min(tokens, first + 128)
      let part = try device.makeActivations(
        Array(rows[piece.lowerBound * shape.inputs..<piece.upperBound * shape.inputs]), tokens: piece.count,
        features: shape.inputs)
      let result = try device.makeActivations(tokens: piece.count, features: shape.outputs)
      let range = piece.lowerBound * shape.outputs..<piece.upperBound * shape.outputs
      try subject.structure.forward(part, values: values, saved: nil, into: result, accumulate: false, on: device)
      #expect(try device.rows(result) == Array(whole[range]), "tokens \(piece)")
      try subject.structure.forward(part, values: values, saved: nil, into: result, accumulate: true, on: device)
      #expect(try device.rows(result) == Array(twice[range]), "tokens \(piece), added")
    }
  }
}
