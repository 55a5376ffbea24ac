import Arrays
import Devices
import Testing

@testable import Structures

/// Products of few tokens with sides above 1024, which the other laws' members have not: rows that lie side by side are read
/// in runs of at most 1024, and compressed rows make several tasks, and several sums of the transposed product.
@Suite struct FewTokenLaws {
  /// One run, and 283 rows more, which begin another; or 13, which do not.
  private static let shapes = [
    Shape(outputs: 1307, inputs: 64), Shape(outputs: 64, inputs: 1307), Shape(outputs: 1037, inputs: 31),
    Shape(outputs: 31, inputs: 1037),
  ]

  /// Many blocks, a few as long as a side, and one that is the matrix.
  private static let members = [
    ("dense", 1.0), ("csr", 0.3), ("csr", 1), ("bsr-16", 0.3), ("bsr-1307x16", 0.7), ("bsr-16x1307", 0.7),
    ("bsr-1037x31", 1), ("bsr-31x1037", 1),
  ]

  private static let subjects: [Subject] = CPUDevice.available.flatMap { isa in
    shapes.flatMap { shape in
      members.compactMap { label, density in
        let member = try? Catalog.member(label, of: shape, density: density, seed: 3)
        return member.flatMap {
          // Padding would make a larger one of what does not divide.
          label.contains("x") && $0.padding > 0
            ? nil : Subject(structure: $0, values: Subject.values(of: $0, seed: 7), isa: isa)
        }
      }
    }
  }

  @Test("Every member that is named is there, whatever the catalog leaves out at one shape")
  func members() {
    let labels = Set(Self.subjects.map(\.structure.label))
    #expect(labels == Set(Self.members.map(\.0)))
  }

  @Test(
    "1 definition: long sides at 1 to 4 tokens: y, dx and dvalues are the materialized matrix's, within the rounding bound",
    arguments: subjects)
  func definition(_ subject: Subject) throws {
    let structure = subject.structure, shape = structure.shape
    let definition = Definition(subject)
    for tokens in 1...4 {
      let x = normals(tokens * shape.inputs, seed: UInt64(tokens + 1))
      let dy = normals(tokens * shape.outputs, seed: UInt64(tokens + 2))
      // One thread is given the longest runs.
      let products = try Products(subject, threads: 1)
      let result = try products.run(x: x, dy: dy)
      #expect(try Products(subject, threads: 2).run(x: x, dy: dy) == result, "T=\(tokens), two threads")
      try definition.expect(result, of: products, x: x, dy: dy)
      try definition.expectGradient(result.dvalues, x: x, dy: dy)
    }
  }
}
