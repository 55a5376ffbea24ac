import Foundation

/// The angles of rotary position embeddings (Su et al. 2021, arXiv 2104.09864), computed in Double.
///
/// Position p turns the pair (d, d + D/2) by p * theta^(-2d/D): Hugging Face's "rotate half" order.
/// `cosine` and `sine` are [ceil(positions/16), D/2, 16], a panel of 16 positions after another.
public final class RotaryEmbedding: Sendable {
  public let headDimension: Int
  public let positions: Int
  package let cosine: [Float]
  package let sine: [Float]

  public init(headDimension: Int, positions: Int, theta: Double) {
    precondition(headDimension.isMultiple(of: 2))
    self.headDimension = headDimension
    self.positions = (positions + 15) / 16 * 16
    let half = headDimension / 2
    var cosine = [Float](repeating: 0, count: self.positions * half)
    var sine = cosine
    for position in 0..<self.positions {
      for d in 0..<half {
        let angle = Double(position) * pow(theta, -2 * Double(d) / Double(headDimension))
        let at = (position / 16 * half + d) * 16 + position % 16
        cosine[at] = Float(cos(angle))
        sine[at] = Float(sin(angle))
      }
    }
    self.cosine = cosine
    self.sine = sine
  }
}
