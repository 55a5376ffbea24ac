/// What the recorded numbers say about one structure, against dense.
public enum Verdict: String, Codable, Sendable, CaseIterable {
  case reference = "reference"
  case pays = "pays"
  case trades = "trades"
  case doNotUse = "do not use"
  case none = "no verdict"
}

/// The numbers that a verdict rests on. Losses in nats per token; differences are structure - dense.
package struct Comparison: Sendable, Equatable {
  /// Step time / dense step time.
  package var relativeStepSeconds: Double
  /// Larger of the two relative deviations of the step time; what is nearer to 1 than this counts as equal.
  package var stepSpread: Double
  package var finalDifference: Double
  package var equalTimeDifference: Double
  /// Spread over seeds that a difference must exceed; nil where every side has one seed only.
  package var finalSpread: Double?
  package var equalTimeSpread: Double?

  package init(
    relativeStepSeconds: Double, stepSpread: Double, finalDifference: Double, equalTimeDifference: Double,
    finalSpread: Double?, equalTimeSpread: Double?
  ) {
    self.relativeStepSeconds = relativeStepSeconds
    self.stepSpread = stepSpread
    self.finalDifference = finalDifference
    self.equalTimeDifference = equalTimeDifference
    self.finalSpread = finalSpread
    self.equalTimeSpread = equalTimeSpread
  }

  package var isFaster: Bool { relativeStepSeconds < 1 - stepSpread }
  package var isSlower: Bool { relativeStepSeconds > 1 + stepSpread }

  /// The rules of ``rules``, in their order.
  package var verdict: Verdict {
    guard let finalSpread, let equalTimeSpread else {
      if equalTimeDifference < 0 || finalDifference < 0 { return .none }
      return isFaster ? .trades : .doNotUse
    }
    if equalTimeDifference < -equalTimeSpread { return .pays }
    let isLower = finalDifference < -finalSpread
    let isHigher = finalDifference > finalSpread
    // Lower without being slower gives nothing up: at equal time, too, the loss must not be the higher one.
    if isLower && !isSlower { return equalTimeDifference < 0 ? .pays : .none }
    if isLower || (isFaster && isHigher) { return .trades }
    if isSlower || isHigher { return .doNotUse }
    return .none
  }

  /// The rules as the report states them.
  package static let rules: [(verdict: Verdict, rule: String)] = [
    (
      .pays,
      "at equal time its validation loss is below that of dense by more than the spread over seeds; or its final loss is, its step is no slower and its loss at equal time lower."
    ),
    (
      .trades,
      "it gives one thing for another: a faster step for a higher final loss, or a lower final loss for more time, each by more than the spread."
    ),
    (
      .doNotUse,
      "its step is no faster than that of dense and its final loss no lower: slower with no lower loss, or equally fast with a higher one."
    ),
    (
      .none,
      "a product was WRONG, a run is not finished, or the difference lies within the spread. Where the spread is unknown, because nothing was trained with more than one seed, a lower loss is never called a win."
    ),
  ]
}
