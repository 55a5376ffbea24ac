import Arrays
import Devices

/// A structure that is one grid of equal blocks: its products are the device's grid products.
public protocol GridStructure: Structure {
  var grid: BlockGrid { get }
  var learningRateScale: Double { get }
}

extension GridStructure {
  public var layout: [TensorLayout] {
    [
      TensorLayout(
        name: "blocks", shape: [grid.blocks, grid.outputs.members, grid.inputs.members], offset: 0,
        learningRateScale: learningRateScale)
    ]
  }

  public func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device
  ) throws {
    try device.multiply(grid, values, x, into: y, accumulate: accumulate)
  }

  public func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device
  ) throws {
    if let dx { try device.multiplyTransposed(grid, values, dy, into: dx, accumulate: accumulate) }
    if let dvalues { try device.accumulateGradient(grid, dy: dy, x: x, into: dvalues) }
  }

  public var liveOutputs: [Bool] { grid.outputs.marked { grid.rowStart[$0] < grid.rowStart[$0 + 1] } }
  public var liveInputs: [Bool] { grid.inputs.marked { grid.columnStart[$0] < grid.columnStart[$0 + 1] } }

  /// N(0, gain^2 / stored weights in the row): every row preserves the variance by itself, however many blocks it has.
  public func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(grid.count)
    for row in 0..<grid.outputs.groups {
      let blocks = Int(grid.rowStart[row + 1] - grid.rowStart[row])
      let deviation = gain / Double(max(1, blocks) * grid.inputs.members).squareRoot()
      for _ in 0..<blocks * grid.outputs.members * grid.inputs.members {
        values.append(Float(deviation * generator.normal()))
      }
    }
    return values
  }

  /// The pattern is a mask: the nearest values are the matrix's own.
  public func project(_ dense: [Double]) -> [Float] {
    var values = [Float](repeating: 0, count: grid.count)
    grid.forEachValue { index, output, input in values[index] = Float(dense[output * shape.inputs + input]) }
    return values
  }
}

extension FeatureGroups {
  /// For every feature, whether its group is marked.
  fileprivate func marked(_ isMarked: (_ group: Int) -> Bool) -> [Bool] {
    var marks = [Bool](repeating: false, count: features)
    for group in 0..<groups where isMarked(group) {
      for member in 0..<members { marks[feature(group, member)] = true }
    }
    return marks
  }
}

extension BlockGrid {
  /// Visits every stored value in order, with the feature it writes and the one it reads.
  func forEachValue(_ body: (_ index: Int, _ output: Int, _ input: Int) -> Void) {
    var index = 0
    for row in 0..<outputs.groups {
      for k in Int(rowStart[row])..<Int(rowStart[row + 1]) {
        for i in 0..<outputs.members {
          for j in 0..<inputs.members {
            body(index, outputs.feature(row, i), inputs.feature(Int(column[k]), j))
            index += 1
          }
        }
      }
    }
  }
}
