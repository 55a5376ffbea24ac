import Arrays
import Devices

/// A structure whose weights sit on a compressed-row pattern, W[r, column[k]] = values[k]: its products are the device's
/// compressed-row products, and a family is a way to choose the pattern.
public protocol RowsStructure: Structure {
  var rows: CompressedRows { get }
}

extension RowsStructure {
  public var pattern: Pattern { Pattern(["rowStart": rows.rowStart, "column": rows.column]) }

  public var layout: [TensorLayout] {
    [
      TensorLayout(
        name: "values", shape: [rows.count], offset: 0,
        learningRateScale: LearningRateRule.masked(density: Double(rows.count) / Double(shape.count)))
    ]
  }

  private func forEachValue(_ body: (_ index: Int, _ place: Int) -> Void) {
    for row in 0..<shape.outputs {
      for k in Int(rows.rowStart[row])..<Int(rows.rowStart[row + 1]) {
        body(k, row * shape.inputs + Int(rows.column[k]))
      }
    }
  }

  public func materialize(_ values: [Float]) -> [Double] {
    var dense = [Double](repeating: 0, count: shape.count)
    forEachValue { dense[$1] = Double(values[$0]) }
    return dense
  }

  /// N(0, gain^2 / stored weights in the row).
  public func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(rows.count)
    for row in 0..<shape.outputs {
      let count = Int(rows.rowStart[row + 1] - rows.rowStart[row])
      for _ in 0..<count { values.append(Float(gain / Double(count).squareRoot() * generator.normal())) }
    }
    return values
  }

  /// The pattern is a mask: the nearest values are the matrix's own.
  public func project(_ dense: [Double]) -> [Float] {
    var values = [Float](repeating: 0, count: rows.count)
    forEachValue { values[$0] = Float(dense[$1]) }
    return values
  }

  public func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device
  ) throws {
    try device.multiply(rows, values, x, into: y, accumulate: accumulate)
  }

  public func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device
  ) throws {
    if let dx { try device.multiplyTransposed(rows, values, dy, into: dx, accumulate: accumulate) }
    if let dvalues { try device.accumulateGradient(rows, dy: dy, x: x, into: dvalues) }
  }

  public var liveOutputs: [Bool] { (0..<shape.outputs).map { rows.rowStart[$0] < rows.rowStart[$0 + 1] } }
  public var liveInputs: [Bool] { (0..<shape.inputs).map { rows.columnStart[$0] < rows.columnStart[$0 + 1] } }
}

extension CompressedRows {
  /// The pattern that a checkpoint describes.
  public convenience init(
    _ pattern: Pattern, of shape: Shape, rule: RunRule? = nil, transposedRule: RunRule? = nil
  ) throws {
    try self.init(
      rows: shape.outputs, columns: shape.inputs, rowStart: pattern.arrays["rowStart"] ?? [],
      column: pattern.arrays["column"] ?? [], rule: rule, transposedRule: transposedRule)
  }

  /// The pattern with weights at these ascending places of the row-major matrix.
  public static func at(
    _ places: [Int], of shape: Shape, rule: RunRule? = nil, transposedRule: RunRule? = nil
  ) -> CompressedRows {
    var start = [Int32](repeating: 0, count: shape.outputs + 1)
    for place in places { start[place / shape.inputs + 1] += 1 }
    for row in 0..<shape.outputs { start[row + 1] += start[row] }
    do {
      return try CompressedRows(
        rows: shape.outputs, columns: shape.inputs, rowStart: start, column: places.map { Int32($0 % shape.inputs) },
        rule: rule, transposedRule: transposedRule)
    } catch {
      preconditionFailure("ascending places make a pattern: \(error)")
    }
  }

  /// The pattern whose row r holds these ascending inputs.
  public static func rows(
    of shape: Shape, rule: RunRule? = nil, transposedRule: RunRule? = nil, _ inputs: (_ row: Int) -> [Int]
  ) -> CompressedRows {
    at(
      (0..<shape.outputs).flatMap { row in inputs(row).map { row * shape.inputs + $0 } }, of: shape, rule: rule,
      transposedRule: transposedRule)
  }

  /// The columns of a row.
  public func columns(in row: Int) -> ArraySlice<Int32> { column[Int(rowStart[row])..<Int(rowStart[row + 1])] }
}

extension Structure {
  /// The pattern of the weights that stand alone; nil where all stand in blocks.
  package var singleWeights: CompressedRows? {
    if let structure = self as? any RowsStructure { return structure.rows }
    return (self as? any SumStructure)?.sparse.singleWeights
  }
}
