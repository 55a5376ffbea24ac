import Arrays
import Devices

/// Block tensor train with two cores of rank R; rank 1 with equal sides is a Kronecker-like product without sharing.
///
///     W[(j1, j2), (i1, i2)] = sum over r < R of  L[j1, j2, r, i2] * C[i2, j1, r, i1]
///
/// I = m1 m2 and O = n1 n2, each split as evenly as it divides, m1 <= m2, n1 <= n2; i = i1 m2 + i2, o = j1 n2 + j2.
/// - Values: `right` [m2, n1 R, m1], `left` [n1, n2, R m2]; no indices. R (I n1 + O m2) values; saved: z [T, n1 R m2].
/// - First weights: normal, keeping the variance. The source draws factors with fewer outputs than inputs narrower, and
///   has `zero-last` at the end of each residual branch.
/// - Not representable when R is above min(n2, m1), where a block cannot use it.
public struct BTT: FactorisedStructure, FixedStructure {
  public static let card = Card(
    family: "btt", grammar: "btt-R", summary: "block tensor train of two cores",
    formula: "W[j1j2, i1i2] = sum_r L[j1,j2,r,i2] C[i2,j1,r,i1]", stored: "R (I n1 + O m2)",
    densities: "R (I n1 + O m2) / (O I)", densityIsFree: false, source: "Qiu et al. 2024 (arXiv 2406.06248)")

  public let shape: Shape
  let first: BlockGrid
  let second: BlockGrid
  let factorNames = (first: "right", second: "left")
  public var label: String { "btt-\(rank)" }

  private var m1: Int { first.inputs.members }
  private var m2: Int { first.inputs.groups }
  private var n1: Int { second.outputs.groups }
  private var n2: Int { second.outputs.members }
  private var rank: Int { first.outputs.members / n1 }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [BTT] {
    guard density > 0, density <= 1, let one = try? BTT(parameters: "1", shape: shape) else {
      return []
    }
    let rank = min(Int(density * Double(shape.count) / Double(one.count)), one.n2, one.m1)
    return (try? BTT(parameters: "\(rank)", shape: shape)).map { [$0] } ?? []
  }

  public init(parameters: String, shape: Shape) throws {
    let rank = try Self.positive(parameters)
    let m1 = Self.smallerSide(shape.inputs), n1 = Self.smallerSide(shape.outputs)
    let m2 = shape.inputs / m1, n2 = shape.outputs / n1
    guard rank <= min(n2, m1) else {
      throw Self.refusal(parameters, shape, "the rank can be at most \(min(n2, m1))")
    }
    self.shape = shape
    first = .diagonal(
      outputs: .strided(groups: m2, members: n1 * rank), inputs: .strided(groups: m2, members: m1))
    second = .diagonal(
      outputs: .contiguous(groups: n1, members: n2), inputs: .contiguous(groups: n1, members: rank * m2))
  }

  /// The greatest divisor not above the root.
  private static func smallerSide(_ number: Int) -> Int {
    var side = 1
    for divisor in 1...number where divisor * divisor <= number && number.isMultiple(of: divisor) { side = divisor }
    return side
  }

  private func rightIndex(_ i2: Int, _ j1: Int, _ r: Int, _ i1: Int) -> Int { ((i2 * n1 + j1) * rank + r) * m1 + i1 }

  private func leftIndex(_ j1: Int, _ j2: Int, _ r: Int, _ i2: Int) -> Int {
    first.count + ((j1 * n2 + j2) * rank + r) * m2 + i2
  }

  public func materialize(_ values: [Float]) -> [Double] {
    var dense = [Double](repeating: 0, count: shape.count)
    for j1 in 0..<n1 {
      for j2 in 0..<n2 {
        for r in 0..<rank {
          for i2 in 0..<m2 {
            let left = Double(values[leftIndex(j1, j2, r, i2)])
            for i1 in 0..<m1 {
              let place = (j1 * n2 + j2) * shape.inputs + i1 * m2 + i2
              dense[place] += left * Double(values[rightIndex(i2, j1, r, i1)])
            }
          }
        }
      }
    }
    return dense
  }

  /// For each (j1, i2) the block over (j2, i1) is a product of rank R of numbers that no other block uses: its truncated
  /// SVD is best.
  public func project(_ dense: [Double]) -> [Float] {
    var values = [Float](repeating: 0, count: count)
    for j1 in 0..<n1 {
      for i2 in 0..<m2 {
        let block = (0..<n2).flatMap { j2 in
          (0..<m1).map { i1 in dense[(j1 * n2 + j2) * shape.inputs + i1 * m2 + i2] }
        }
        let factors = SingularValues(of: block, rows: n2, columns: m1).balancedFactors(rank: rank)
        for r in 0..<rank {
          for i1 in 0..<m1 { values[rightIndex(i2, j1, r, i1)] = Float(factors.right[r * m1 + i1]) }
          for j2 in 0..<n2 { values[leftIndex(j1, j2, r, i2)] = Float(factors.left[j2 * rank + r]) }
        }
      }
    }
    return values
  }
}
