import Arrays
import Testing

@testable import Devices
@testable import Structures

/// Results too large for the caches are written past them: every bit must be what smaller results have.
@Suite struct LargeResultLaws {
  /// 4096 features of 1088 tokens are 17 MiB; 128 tokens at a time are 2 MiB.
  private static let features = 4096, others = 64
  private static let tokens = 1088

  private static func subjects(_ shape: Shape) -> [Subject] {
    CPUDevice.available.flatMap { isa in
      ["bsr-32", "csr", "banded-16", "blockdiagonal-4"].map { label in
        guard let structure = try? Catalog.member(label, of: shape, density: 0.25, seed: 3) else {
          fatalError("\(label) is no member of the catalog")
        }
        return Subject(structure: structure, values: Subject.values(of: structure, seed: 7), isa: isa)
      }
    }
  }

  @Test(
    "A large output has the bits of the small ones it is made of, overwritten or added to",
    arguments: subjects(Shape(outputs: features, inputs: others)))
  func forward(_ subject: Subject) throws {
    try expectStrips(of: subject) { $0.walks.rowStrips(of: $0, tileRows: $1) }
    try compare(subject) { device, values, x, y, accumulate in
      try subject.structure.forward(x, values: values, saved: nil, into: y, accumulate: accumulate, on: device)
    }
  }

  @Test(
    "A large input gradient has the bits of the small ones it is made of, overwritten or added to",
    arguments: subjects(Shape(outputs: others, inputs: features)))
  func inputGradient(_ subject: Subject) throws {
    try expectStrips(of: subject) { $0.walks.columnStrips(of: $0, tileRows: $1) }
    try compare(subject) { device, values, dy, dx, accumulate in
      let x = try device.makeActivations(tokens: dx.tokens, features: dx.features)
      try subject.structure.backward(
        dy, x: x, values: values, saved: nil, dx: dx, accumulate: accumulate, dvalues: nil, on: device)
    }
  }

  /// The band is here for the sake of its strips, and compressed rows for the lack of them.
  private func expectStrips(of subject: Subject, _ strips: (CompressedRows, _ tileRows: Int) -> RowStrips?) throws {
    guard let rows = subject.structure.singleWeights else { return }
    let found = strips(rows, Int(try subject.device().kernels.tileRows))
    #expect((found != nil) == subject.structure.label.hasPrefix("banded"))
  }

  /// `product` from activations of few features to those of many: all tokens at once, and 128 at a time.
  private func compare(
    _ subject: Subject,
    _ product: (CPUDevice, Vector, _ from: Activations, _ to: Activations, _ accumulate: Bool) throws -> Void
  ) throws {
    let tokens = Self.tokens, device = try subject.device()
    let values = try device.makeVector(subject.values)
    let rows = normals(tokens * Self.others, seed: 61)
    let from = try device.makeActivations(rows, tokens: tokens, features: Self.others)
    // What was there must not show.
    let to = try device.makeActivations(
      [Float](repeating: .nan, count: tokens * Self.features), tokens: tokens, features: Self.features)
    #expect(CPUDevice.passesCaches(to))
    try product(device, values, from, to, false)
    let once = try device.rows(to)
    try product(device, values, from, to, true)
    let twice = try device.rows(to)
    for first in stride(from: 0, to: tokens, by: 128) {
      let piece = first..<min(tokens, first + 128)
      let part = try device.makeActivations(
        Array(rows[piece.lowerBound * Self.others..<piece.upperBound * Self.others]), tokens: piece.count,
        features: Self.others)
      let result = try device.makeActivations(tokens: piece.count, features: Self.features)
      #expect(!CPUDevice.passesCaches(result))
      let range = piece.lowerBound * Self.features..<piece.upperBound * Self.features
      try product(device, values, part, result, false)
      #expect(try device.rows(result) == Array(once[range]), "tokens \(piece)")
      try product(device, values, part, result, true)
      #expect(try device.rows(result) == Array(twice[range]), "tokens \(piece), added")
    }
  }
}
