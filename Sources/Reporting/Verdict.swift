import Records

/// What the recorded numbers say about one structure, against dense.
public enum Verdict: String, Codable, Sendable, CaseIterable {
  case reference = "reference"
  case pays = "pays"
  /// By one seed of the structure, so that the luck of its pattern and of its first weights is not known.
  case mayPay = "may pay"
  case trades = "trades"
  case doNotUse = "do not use"
  case none = "no verdict"
}

/// The numbers that a verdict rests on. Losses in nats per token; differences are structure - dense.
package struct Comparison: Sendable, Equatable {
  /// What both have the same of; `finalDifference` is the difference at that.
  package var equality: SurveyRecord.Equality
  /// Training time / that of dense: at equal steps of a step, else of the whole run.
  package var relativeSeconds: Double
  /// Larger of the two relative deviations of that time; what is nearer to 1 than this counts as equal.
  package var timeSpread: Double
  package var finalDifference: Double
  package var equalTimeDifference: Double
  /// Spread over seeds that a difference must exceed; nil where every side has one seed only.
  package var finalSpread: Double?
  package var equalTimeSpread: Double?
  /// False where the structure has one seed and borrows the spread of dense.
  package var hasOwnSpread: Bool

  package init(
    equality: SurveyRecord.Equality = .steps, relativeSeconds: Double, timeSpread: Double, finalDifference: Double,
    equalTimeDifference: Double,
    finalSpread: Double?, equalTimeSpread: Double?, hasOwnSpread: Bool = true
  ) {
    self.equality = equality
    self.relativeSeconds = relativeSeconds
    self.timeSpread = timeSpread
    self.finalDifference = finalDifference
    self.equalTimeDifference = equalTimeDifference
    self.finalSpread = finalSpread
    self.equalTimeSpread = equalTimeSpread
    self.hasOwnSpread = hasOwnSpread
  }

  package var isFaster: Bool { relativeSeconds < 1 - timeSpread }
  package var isSlower: Bool { relativeSeconds > 1 + timeSpread }

  /// What says whether dense is beaten: at equal FLOPs the difference at those, else that at equal time.
  package var decidingDifference: Double { equality == .flops ? finalDifference : equalTimeDifference }
  package var decidingSpread: Double? { equality == .flops ? finalSpread : equalTimeSpread }

  /// The rules of ``rules(_:)``, in their order.
  package var verdict: Verdict {
    guard let finalSpread, let equalTimeSpread else { return .none }
    let gain: Verdict = hasOwnSpread ? .pays : .mayPay
    if equalTimeDifference < -equalTimeSpread { return gain }
    let isLower = finalDifference < -finalSpread
    let isHigher = finalDifference > finalSpread
    // Lower without being slower gives nothing up: at equal time, too, the loss must not be the higher one.
    if isLower && !isSlower { return equalTimeDifference < 0 ? gain : .none }
    if isLower || (isFaster && isHigher) { return .trades }
    if isSlower || isHigher { return .doNotUse }
    return .none
  }
}
