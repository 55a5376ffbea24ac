import Foundation

@testable import Devices

/// Causal attention and its gradient in Double, from the definition, with what rounding may do to each number.
///
/// First order in every rounding. P: the score's sum (gamma_D of its absolute sum), the exponential, its argument and the log
/// sum; then, where `element` is not 0, P and dS are rounded to elements before they are multiplied, and results are stored as
/// elements. delta is made of the stored output, and errs as that does.
struct AttentionOracle {
  let geometry: AttentionGeometry
  let tokens: Int
  /// Rounding to an element; 0 where elements are fp32.
  let element: Double
  private(set) var output: [Double], outputBound: [Double]
  private(set) var dq: [Double], dqBound: [Double]
  private(set) var dk: [Double], dkBound: [Double]
  private(set) var dv: [Double], dvBound: [Double]

  private var dimension: Int { geometry.headDimension }
  private let fp32 = 0x1p-24

  /// Row-major [T, heads D] and [T, keyValueHeads D].
  init(_ g: AttentionGeometry, element: Double, q: [Float], k: [Float], v: [Float], doutput: [Float]) {
    geometry = g
    self.element = element
    tokens = q.count / (g.heads * g.headDimension)
    output = [Double](repeating: 0, count: q.count)
    dk = [Double](repeating: 0, count: k.count)
    outputBound = output
    (dq, dqBound) = (output, output)
    (dkBound, dv, dvBound) = (dk, dk, dk)
    for head in 0..<g.heads {
      for t in 0..<tokens { query(head, t, q.doubles, k.doubles, v.doubles, doutput.doubles) }
    }
    // Stored, and summed over as many terms as there are queries or keys.
    let sums = fp32 * Double(2 * (g.sequence + dimension) * g.heads / g.keyValueHeads)
    for i in dq.indices { dqBound[i] += (element + sums) * abs(dq[i]) + 1e-30 }
    for i in dk.indices {
      dkBound[i] += (element + sums) * abs(dk[i]) + 1e-30
      dvBound[i] += (element + sums) * abs(dv[i]) + 1e-30
    }
  }

  private mutating func query(_ head: Int, _ t: Int, _ q: [Double], _ k: [Double], _ v: [Double], _ dout: [Double]) {
    let g = geometry, d = dimension, scale = 1 / Double(d).squareRoot()
    let keyHead = head / (g.heads / g.keyValueHeads), first = t / g.sequence * g.sequence
    let seen = Array(max(first, t - g.window + 1)...t)
    let at = t * g.heads * d + head * d
    func place(_ key: Int) -> Int { key * g.keyValueHeads * d + keyHead * d }
    var scores: [Double] = [], slack: [Double] = []
    for key in seen {
      var sum = 0.0, size = 0.0
      for i in 0..<d {
        sum += q[at + i] * k[place(key) + i]
        size += abs(q[at + i] * k[place(key) + i])
      }
      scores.append(sum * scale)
      slack.append(fp32 * (Double(d + 3) * size * scale + 2 * abs(sum * scale)))
    }
    let most = scores.max() ?? 0
    let total = scores.reduce(0) { $0 + exp($1 - most) }
    let weights = scores.map { exp($0 - most) / total }
    // The log sum errs as its worst score does, its own rounding and the sum of the exponentials on top.
    let logError =
      (slack.max() ?? 0) + fp32 * (Double(seen.count + 8) + 2 * abs(most + log(total)) + abs(most))
    var deltaError = 0.0, delta = 0.0
    for i in 0..<d {
      var sum = 0.0, bound = 0.0
      for (index, key) in seen.enumerated() {
        let term = weights[index] * v[place(key) + i]
        sum += term
        bound += abs(term) * (slack[index] + logError + element + fp32 * Double(seen.count + 8))
      }
      output[at + i] = sum
      outputBound[at + i] = bound * (1 + element) + (element + fp32) * abs(sum) + 1e-30
      delta += dout[at + i] * sum
      deltaError += abs(dout[at + i]) * (outputBound[at + i] + fp32 * Double(d + 1) * (abs(sum) + outputBound[at + i]))
    }
    for (index, key) in seen.enumerated() {
      let p = weights[index], relative = slack[index] + logError + 4 * fp32
      var dp = 0.0, size = 0.0
      for i in 0..<d {
        dp += dout[at + i] * v[place(key) + i]
        size += abs(dout[at + i] * v[place(key) + i])
      }
      let ds = p * (dp - delta) * scale
      let error =
        abs(ds) * (relative + element + 4 * fp32)
        + p * scale * (1 + relative + element) * (deltaError + fp32 * Double(d + 2) * size)
      let sums = fp32 * Double(2 * (g.sequence + d))
      for i in 0..<d {
        dq[at + i] += ds * k[place(key) + i]
        dqBound[at + i] += (error + sums * abs(ds)) * (1 + element) * abs(k[place(key) + i])
        dk[place(key) + i] += ds * q[at + i]
        dkBound[place(key) + i] += (error + sums * abs(ds)) * (1 + element) * abs(q[at + i])
        dv[place(key) + i] += p * dout[at + i]
        dvBound[place(key) + i] += (p * (relative + element) + sums * p) * (1 + element) * abs(dout[at + i])
      }
    }
  }
}
