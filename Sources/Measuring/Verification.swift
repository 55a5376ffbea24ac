import Arrays
import Devices
import Glibc
import Structures

/// Checks a pass's result against the definition, in Double, with bounds derived from the number of roundings.
///
/// - Forward and input gradient: every feature of a sample of tokens that touches every 16-token panel it can.
/// - Weight gradient: W is affine in each of its tensors, so for a step d of some values of one tensor
///   <dvalues, d> = <dy, (W(v + d) - W(v)) x> exactly; a handful of values is stepped.
struct Verification {
  private let cell: BenchCell
  private let matrix: [Double]
  private let absolute: [Double]

  /// Tokens looked at, at most.
  private static let sampledTokens = 40
  /// Values of each tensor that are stepped at once: few, so that one wrong gradient among them cannot hide.
  private static let steppedValues = 16

  init(_ cell: BenchCell) {
    self.cell = cell
    matrix = cell.structure.materialize(cell.hostValues)
    absolute = cell.structure.absolute(cell.hostValues)
  }

  private var shape: Shape { cell.structure.shape }

  /// Roundings that any sum of one pass goes through.
  private var depth: Int { shape.inputs + shape.outputs + cell.structure.savedFeatures + 4 }

  /// The bound of a product whose sums have `depth` roundings, as a factor of the absolute product. Where activations are
  /// stored in fewer bits than fp32, so are x, dy, the weights of each factor, the inner activations and the result; in tf32 both
  /// factors of each product by cuBLASLt are rounded.
  private func factor(_ depth: Int, _ pass: DenseProduct) -> Double {
    let gamma = RoundingBound.gamma(depth), u = cell.factorRoundoff(pass)
    guard u > RoundingBound.unitRoundoff else { return gamma }
    return (1 + gamma) * pow(1 + u, cell.structure.savedFeatures == 0 ? 3 : 6) - 1
  }

  /// The worst error as a fraction of its bound; not above 1 is right. NaN counts as infinitely wrong.
  func errorFraction(_ pass: DenseProduct) throws -> Double {
    if pass == .weightGradient { try cell.device.clear(cell.dvalues) }
    try cell.run(pass)
    switch pass {
    case .forward: return compare(try cell.device.rows(cell.y), with: cell.hostX)
    case .inputGradient: return compareTransposed(try cell.device.rows(cell.dx), with: cell.hostDy)
    case .weightGradient: return try compareGradients(try cell.device.numbers(cell.dvalues))
    }
  }

  private var sample: [Int] {
    var generator = SeededGenerator(seed: 1, "verification")
    let panels = (cell.tokens + 15) / 16
    let chosen =
      panels <= Self.sampledTokens
      ? (0..<panels).map { min(cell.tokens - 1, $0 * 16 + generator.index(below: 16)) }
      : generator.sample(Self.sampledTokens, below: cell.tokens)
    return Array(Set(chosen + [0, cell.tokens - 1])).sorted()
  }

  private func fraction(_ got: Float, _ expected: Double, _ bound: Double) -> Double {
    let error = abs(Double(got) - expected)
    guard error.isFinite else { return .infinity }
    return error == 0 ? 0 : error / bound
  }

  private func compare(_ y: [Float], with x: [Float]) -> Double {
    let gamma = factor(depth, .forward)
    var worst = 0.0
    for t in sample {
      let row = x[t * shape.inputs..<(t + 1) * shape.inputs].map(Double.init)
      row.withUnsafeBufferPointer { row in
        for o in 0..<shape.outputs {
          let (sum, size) = dot(row, o * shape.inputs)
          worst = max(worst, fraction(y[t * shape.outputs + o], sum, gamma * size))
        }
      }
    }
    return worst
  }

  /// (sum of W x, sum of |W| |x|) over the row of W that begins at `start`.
  private func dot(_ row: UnsafeBufferPointer<Double>, _ start: Int) -> (Double, Double) {
    var sum = 0.0, size = 0.0
    matrix.withUnsafeBufferPointer { matrix in
      absolute.withUnsafeBufferPointer { absolute in
        for i in row.indices {
          sum += matrix[start + i] * row[i]
          size += absolute[start + i] * abs(row[i])
        }
      }
    }
    return (sum, size)
  }

  private func compareTransposed(_ dx: [Float], with dy: [Float]) -> Double {
    let gamma = factor(depth, .inputGradient)
    var worst = 0.0
    for t in sample {
      var sums = [Double](repeating: 0, count: shape.inputs), sizes = sums
      for o in 0..<shape.outputs {
        let d = Double(dy[t * shape.outputs + o])
        addScaled(&sums, d, matrix, from: o * shape.inputs)
        addScaled(&sizes, abs(d), absolute, from: o * shape.inputs)
      }
      for i in 0..<shape.inputs { worst = max(worst, fraction(dx[t * shape.inputs + i], sums[i], gamma * sizes[i])) }
    }
    return worst
  }

  private func addScaled(_ sums: inout [Double], _ factor: Double, _ numbers: [Double], from start: Int) {
    sums.withUnsafeMutableBufferPointer { sums in
      numbers.withUnsafeBufferPointer { numbers in
        guard let row = sums.baseAddress, let terms = numbers.baseAddress?.advanced(by: start) else { return }
        for i in 0..<sums.count { row[i] += factor * terms[i] }
      }
    }
  }

  private func compareGradients(_ dvalues: [Float]) throws -> Double {
    let structure = cell.structure
    let gamma = factor(depth + cell.tokens, .weightGradient)
    var worst = 0.0
    for tensor in structure.layout {
      var generator = SeededGenerator(seed: 1, tensor.name)
      var moved = cell.hostValues
      let sampled = generator.sample(min(Self.steppedValues, tensor.count), below: tensor.count)
      let chosen = Set(sampled + [0, tensor.count - 1]).sorted().map { $0 + tensor.offset }
      for index in chosen { moved[index] += Float(generator.normal()) }
      // v + d was rounded: d is what the sum says it is.
      var got = 0.0
      for index in chosen { got += Double(dvalues[index]) * (Double(moved[index]) - Double(cell.hostValues[index])) }
      var sizes = cell.hostValues.map(abs)
      for index in chosen { sizes[index] += abs(moved[index] - cell.hostValues[index]) }
      let (expected, size) = change(structure.materialize(moved), structure.absolute(sizes))
      let error = abs(got - expected)
      guard error.isFinite else { return .infinity }
      if error > 0 { worst = max(worst, error / (gamma * size)) }
    }
    return worst
  }

  /// <dy, D x> for the change D = moved - W, and the sum of the absolute terms for D's bound; rows of D without a
  /// change are passed over.
  private func change(_ moved: [Double], _ sizes: [Double]) -> (value: Double, size: Double) {
    var value = 0.0, size = 0.0
    for o in 0..<shape.outputs {
      let places = (0..<shape.inputs).filter {
        moved[o * shape.inputs + $0] != matrix[o * shape.inputs + $0]
          || sizes[o * shape.inputs + $0] > absolute[o * shape.inputs + $0]
      }
      guard !places.isEmpty else { continue }
      let steps = places.map { moved[o * shape.inputs + $0] - matrix[o * shape.inputs + $0] }
      let bounds = places.map { max(0, sizes[o * shape.inputs + $0] - absolute[o * shape.inputs + $0]) }
      for t in 0..<cell.tokens {
        let d = Double(cell.hostDy[t * shape.outputs + o])
        var sum = 0.0, absoluteSum = 0.0
        for (k, i) in places.enumerated() {
          let x = Double(cell.hostX[t * shape.inputs + i])
          sum += steps[k] * x
          absoluteSum += bounds[k] * abs(x)
        }
        value += d * sum
        size += abs(d) * absoluteSum
      }
    }
    return (value, size)
  }
}
