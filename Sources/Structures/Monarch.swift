import Arrays
import Devices

/// Two block-diagonal factors with a stride permutation between (also called BlockShuffle).
///
///     W = L P R,   z[g M/G + j] = sum over i of R[g, j, i] x[g I/G + i],   y[h O/G + k] = sum over j of L[h, k, j] z[j G + h]
///
/// M = min(O, I) inner features. Group h of L reads every G-th feature of z, so every output sees every input when
/// G^2 <= M. The permutation of the outputs in the paper only renames them and is left out.
/// - Values: `right` [G, M/G, I/G], `left` [G, O/G, M/G]; no indices. Density M (O + I) / (G O I); saved: z [T, M].
/// - First weights: normal, keeping the variance. Wei et al. draw them `orthonormal`, without a factor; Dao et al. uniformly
///   with the deviation 1/sqrt(3 block inputs), so that y begins 3 times too small.
/// - Sides that G does not divide are padded.
public struct Monarch: FactorisedStructure, GroupedStructure, FixedStructure {
  public static let card = Card(
    family: "monarch", grammar: "monarch-G", summary: "two block-diagonals with a stride permutation between",
    formula: "W = L P R", stored: "min(O,I) (O+I) / G", densities: "min(O,I) (O+I) / (G O I)", densityIsFree: false,
    source: "Dao et al. 2022 (arXiv 2204.00595); as BlockShuffle Wei et al. 2024 (arXiv 2406.16450)")

  public let shape: Shape
  let first: BlockGrid
  let second: BlockGrid
  let factorNames = (first: "right", second: "left")
  private var groups: Int { first.outputs.groups }
  public var label: String { "monarch-\(groups)" }

  public static func members(of shape: Shape, density: Double, seed: UInt64) -> [Monarch] {
    fewestGroups(of: shape, density: density)
  }

  public init(parameters: String, shape: Shape) throws {
    let groups = try Self.groups(parameters, shape)
    let inner = min(shape.outputs, shape.inputs) / groups
    self.shape = shape
    first = .diagonal(
      outputs: .contiguous(groups: groups, members: inner),
      inputs: .contiguous(groups: groups, members: shape.inputs / groups))
    second = .diagonal(
      outputs: .contiguous(groups: groups, members: shape.outputs / groups),
      inputs: .strided(groups: groups, members: inner))
  }

  /// The inner features that input group g feeds and output group h reads: z[f], f in g's run, f = h mod G.
  private func inner(_ h: Int, _ g: Int) -> StrideTo<Int> {
    let run = first.outputs.members
    let start = g * run
    return stride(from: start + (h - start % groups + groups) % groups, to: start + run, by: groups)
  }

  /// Where L[h, k] for the inner feature f lies in the values.
  private func leftIndex(_ h: Int, _ k: Int, _ f: Int) -> Int {
    let row = h * second.outputs.members + k
    return first.count + row * second.inputs.members + f / groups
  }

  public func materialize(_ values: [Float]) -> [Double] {
    let inputs = first.inputs.members, outputs = second.outputs.members
    var dense = [Double](repeating: 0, count: shape.count)
    for h in 0..<groups {
      for g in 0..<groups {
        for f in inner(h, g) {
          for k in 0..<outputs {
            let left = Double(values[leftIndex(h, k, f)])
            let place = (h * outputs + k) * shape.inputs + g * inputs
            dense.add(left, times: values, f * inputs..<(f + 1) * inputs, at: place)
          }
        }
      }
    }
    return dense
  }

  /// Block (h, g) of W is the product of the factors' parts for the inner features that only it uses: its truncated SVD
  /// is the best choice, and the blocks are independent (Dao et al. 2022, section 3.3, for one inner feature a block).
  public func project(_ dense: [Double]) -> [Float] {
    let inputs = first.inputs.members, outputs = second.outputs.members
    var values = [Float](repeating: 0, count: count)
    for h in 0..<groups {
      for g in 0..<groups {
        let features = Array(inner(h, g))
        let block = (0..<outputs).flatMap { k in
          let place = (h * outputs + k) * shape.inputs + g * inputs
          return dense[place..<place + inputs]
        }
        let factors = SingularValues(of: block, rows: outputs, columns: inputs)
          .balancedFactors(rank: features.count)
        for (index, f) in features.enumerated() {
          for i in 0..<inputs { values[f * inputs + i] = Float(factors.right[index * inputs + i]) }
          for k in 0..<outputs { values[leftIndex(h, k, f)] = Float(factors.left[k * factors.rank + index]) }
        }
      }
    }
    return values
  }
}
