import Arrays
import FakeCUDA
import Testing

@testable import Devices
@testable import Structures

/// Patterns with two of every four, which sparse tensor cores multiply.
@Suite struct RunsTests {
  /// Launches of one forward and one backward, by the kernel's name without its tile.
  private func launches(_ label: String, _ precision: CUDAPrecision, _ shape: Shape) throws -> [String: Int32] {
    fake_reset()
    let structure = try Catalog.member(label, of: shape, density: 1, seed: 5)
    let products = try CUDAProducts(CUDASubject(structure: structure, precision: precision))
    _ = try products.run(
      x: normals(20 * shape.inputs, seed: 1, precision), dy: normals(20 * shape.outputs, seed: 2, precision))
    var counts: [String: Int32] = [:]
    for kernel in ["rows_multiply", "rows_gradient"] { counts[kernel] = fake_launches(kernel) }
    for family in ["runs_tensor", "runs_tensor_gradient"] {
      counts[family] = [16, 32, 64, 128].map { fake_launches("\(family)_\($0)") }.reduce(0, +)
    }
    return counts.filter { $0.value > 0 }
  }

  @Test("Who multiplies: sparse tensor cores where the rule is two of every four, compressed rows elsewhere")
  func dispatch() throws {
    let shape = Shape(outputs: 96, inputs: 64)
    let forwardOnly: [String: Int32] = ["runs_tensor": 1, "rows_multiply": 1, "runs_tensor_gradient": 1]
    for label in ["nm-2:4", "nm-1:4", "vnm-32:2:8", "vnm-16:1:8", "vnm-96:2:4"] {
      #expect(try launches(label, .bf16, shape) == forwardOnly, "\(label)")
    }
    // The transpose keeps to the rule too.
    #expect(try launches("nm-2:4t", .bf16, shape) == ["runs_tensor": 2, "runs_tensor_gradient": 1])
    let rows: [String: Int32] = ["rows_multiply": 2, "rows_gradient": 1]
    for label in ["nm-2:8", "nm-4:8", "nm-1:2", "vnm-12:2:8", "vnm-32:3:8", "csr"] {
      #expect(try launches(label, .bf16, shape) == rows, "\(label)")
    }
    #expect(try launches("nm-2:4t", .fp32, shape) == rows)
  }

  @Test("Packed weights are packed again when they change, and when their pattern does")
  func packing() throws {
    fake_reset()
    let device = try fakeDevice(.bf16)
    let rule = RunRule(held: 2, shared: 4, run: 4)
    func pattern(_ columns: [Int32]) throws -> CompressedRows {
      try CompressedRows(
        rows: 16, columns: 8, rowStart: (0...16).map { $0 * 4 },
        column: Array(repeatElement(columns, count: 16).joined()),
        rule: rule)
    }
    let first = try pattern([0, 1, 4, 7]), second = try pattern([1, 3, 6, 7])
    let values = try device.makeVector([Float](repeating: 1, count: 64))
    let x = try device.makeActivations((0..<8).map { Float(1 << $0) }, tokens: 1, features: 8)
    let y = try device.makeActivations(tokens: 1, features: 16)
    func product(_ pattern: CompressedRows) throws -> Set<Float> {
      try device.multiply(pattern, values, x, into: y, accumulate: false)
      return Set(try device.rows(y))
    }
    #expect(try product(first) == [1 + 2 + 16 + 128])
    #expect(try product(first) == [147] && fake_launches("narrow_gathered") == 1)
    #expect(try product(second) == [2 + 8 + 64 + 128])
    #expect(try product(second) == [202] && fake_launches("narrow_gathered") == 2)
    try [Float](repeating: 2, count: 64).withUnsafeBufferPointer { try device.write($0, to: values) }
    #expect(try product(second) == [404] && fake_launches("narrow_gathered") == 3)
    // What was packed for a pattern goes with the values: nothing is kept for each pattern that there was.
    let before = fake_live_allocations()
    for _ in 0..<5 { #expect(try product(try pattern([0, 1, 4, 7])) == [294]) }
    #expect(fake_live_allocations() <= before + 3)
  }

  @Test("A pattern that does not keep to its rule is refused")
  func refusals() throws {
    func make(_ column: [Int32], _ rule: RunRule, transposed: RunRule? = nil) throws {
      _ = try CompressedRows(
        rows: 2, columns: 8, rowStart: [0, 2, 4], column: column, rule: rule, transposedRule: transposed)
    }
    let each = RunRule(held: 1, shared: 4, run: 4)
    try make([0, 7, 3, 4], each)
    #expect(throws: Refusal.self) { try make([0, 3, 3, 4], each) }
    // Rows that share one column of every four use two.
    let shared = RunRule(rows: 2, held: 1, shared: 1, run: 4)
    try make([0, 7, 0, 7], shared)
    #expect(throws: Refusal.self) { try make([0, 7, 0, 6], shared) }
    // Sides that the rule does not divide.
    #expect(throws: Refusal.self) { try make([0, 7, 3, 4], RunRule(held: 2, shared: 3, run: 3)) }
    #expect(throws: Refusal.self) { try make([0, 7, 3, 4], RunRule(rows: 3, held: 1, shared: 4, run: 4)) }
    // Column 0 holds two of its two rows, the rule says one.
    #expect(throws: Refusal.self) {
      try make([0, 7, 0, 7], each, transposed: RunRule(held: 1, shared: 2, run: 2))
    }
  }
}
