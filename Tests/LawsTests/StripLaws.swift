import Arrays
import Testing

@testable import Devices
@testable import Structures

/// Patterns whose neighbouring rows have their weights in nearly the same columns, which the register tile multiplies with
/// zeros where there is no weight: bands that end anywhere, rows without a weight, holes.
@Suite struct StripLaws {
  private struct Drawn: Sendable {
    let name: String
    var inputs = 157
    /// The columns of one of 203 rows.
    let columns: @Sendable (Int, inout SeededGenerator) -> [Int]
  }

  private static let patterns = [
    Drawn(name: "a band of changing width") { row, draw in
      let first = row * 120 / 203
      return Array(first..<first + 30 + draw.index(below: 8))
    },
    Drawn(name: "a band that leaves rows out") { row, _ in row % 5 == 3 ? [] : Array(row / 2..<row / 2 + 40) },
    Drawn(name: "a band with holes") { row, draw in
      (row / 3..<row / 3 + 60).filter { _ in draw.index(below: 10) > 2 }
    },
    Drawn(name: "few zeros") { _, draw in (0..<157).filter { _ in draw.index(below: 10) > 2 } },
    Drawn(name: "no weight in the first and the last rows") { row, _ in
      (20..<180).contains(row) ? Array(50..<70) : []
    },
    // Rows that pay for a packed copy of their dy.
    Drawn(name: "long rows", inputs: 370) { _, draw in (0..<370).filter { _ in draw.index(below: 10) > 1 } },
    // As strips the weight gradient would lose.
    Drawn(name: "a narrow band") { row, _ in Array(row / 2..<row / 2 + 12) },
  ]

  private static let subjects: [Subject] = CPUDevice.available.flatMap { isa in
    patterns.map { drawn in
      let shape = Shape(outputs: 203, inputs: drawn.inputs)
      var generator = SeededGenerator(seed: 5, drawn.name)
      let rows = CompressedRows.rows(of: shape) { drawn.columns($0, &generator) }
      guard
        let structure = try? CSR(
          parameters: "", shape: shape, pattern: Pattern(["rowStart": rows.rowStart, "column": rows.column]))
      else { fatalError("\(drawn.name) is no pattern") }
      return Subject(structure: structure, values: Subject.values(of: structure, seed: 7), isa: isa)
    }
  }

  @Test(
    "1 definition: strips of rows: y, dx and dvalues are the materialized matrix's, within the rounding bound",
    arguments: subjects)
  func definition(_ subject: Subject) throws {
    let shape = subject.structure.shape, definition = Definition(subject)
    let rows = try #require(subject.structure.singleWeights)
    let tileRows = Int(try subject.device().kernels.tileRows)
    #expect(rows.walks.rowStrips(of: rows, tileRows: tileRows) != nil, "this pattern is to be multiplied by strips")
    #expect(rows.walks.columnStrips(of: rows, tileRows: tileRows) != nil, "and so is its transpose")
    // The last panel full, nearly empty and nearly full; in one piece of the gradient's sum, and in several.
    for tokens in [49, 64, 79, 300] {
      let x = normals(tokens * shape.inputs, seed: UInt64(tokens + 1))
      let dy = normals(tokens * shape.outputs, seed: UInt64(tokens + 2))
      let products = try Products(subject, threads: 1)
      let result = try products.run(x: x, dy: dy)
      #expect(try Products(subject, threads: 3).run(x: x, dy: dy) == result, "T=\(tokens), three threads")
      try definition.expect(result, of: products, x: x, dy: dy)
      try definition.expectGradient(result.dvalues, x: x, dy: dy)
    }
  }

  @Test("Scattered weights of a small density are no strips")
  func scattered() throws {
    let shape = Shape(outputs: 203, inputs: 157)
    let structure = try CSR(parameters: "", shape: shape, density: 0.3, seed: 1)
    for tileRows in [1, 3, 6, 12] {
      #expect(structure.rows.walks.rowStrips(of: structure.rows, tileRows: tileRows) == nil)
      #expect(structure.rows.walks.columnStrips(of: structure.rows, tileRows: tileRows) == nil)
    }
  }
}
