import Arrays
import Structures

/// What the learning rate of a dense matrix is multiplied by for a structured one.
///
/// The rules were found for static patterns; Dey et al. (arXiv 2405.15743, figure 12) find no stable rule for RigL and
/// gradual magnitude, so methods that move weights want a sweep.
public enum RateRule: String, CaseIterable, Sendable {
  /// The rule of the structure's own source: Graphcore's for patterns, one for each factor for products.
  case published
  /// 1 / density (SuPar, Dey et al. 2024, arXiv 2405.15743).
  case supar
  /// exp(1.969 s^2 + 0.2905 s), s = 1 - density (Dietrich et al. 2021, arXiv 2108.06277).
  case graphcore
  /// The dense rate.
  case none

  public init(named name: String) throws {
    guard let rule = RateRule(rawValue: name) else {
      throw Refusal.badInput(
        "there is no learning-rate rule '\(name)'; the rules are \(RateRule.allCases.map(\.rawValue).joined(separator: ", "))"
      )
    }
    self = rule
  }

  func scale(_ tensor: TensorLayout, of structure: any Structure) -> Double {
    switch self {
    case .published: tensor.learningRateScale
    case .supar: 1 / min(1, structure.density)
    case .graphcore: LearningRateRule.masked(density: structure.density)
    case .none: 1
    }
  }
}
