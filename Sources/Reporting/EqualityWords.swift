import Records

/// How the report speaks of what all structures of a survey have the same of.
extension SurveyRecord.Equality {
  /// "at equal FLOPs".
  var phrase: String {
    switch self {
    case .steps: "at equal steps"
    case .flops: "at equal FLOPs"
    case .time: "at equal time"
    }
  }

  /// Where dense is held against the others: at equal FLOPs there, else at equal time.
  var decidingPhrase: String { self == .flops ? phrase : SurveyRecord.Equality.time.phrase }

  /// Whose time counts: at equal steps a step's, else, since they have not the same number of steps, the whole run's.
  var timed: String { self == .steps ? "step" : "run" }

  /// "130 steps of 512 tokens", as what every structure has.
  func effort(_ steps: String) -> String {
    switch self {
    case .steps: steps
    case .flops: "the FLOPs of \(steps) of dense for every structure"
    case .time: "the training time of \(steps) of dense for every structure"
    }
  }

  /// What a structure that pays has.
  var gain: String {
    self == .flops ? "a lower loss than dense within dense's time" : "a lower loss than dense at equal time"
  }

  /// How the lengths of the runs were decided.
  var explanation: String {
    switch self {
    case .steps:
      "All structures have the same number of steps and tokens: that is the experiment. What stands under “within dense's FLOPs” and “within dense's time” is read off these runs and one-sided: a run that had fewer FLOPs, or less time, than dense counts with its last loss, though it would have gone further with the rest; one that had more is read off its curve in mid-run, where its learning rate is still high, because its schedule was made for a longer run. filigree survey --equal flops and --equal time train runs of such lengths instead."
    case .flops:
      "All structures have the same FLOPs, forward and backward of the whole model over the whole run, within one step's: that is the experiment. A structure that computes less in a step has more steps, sees more tokens, and has a warm-up and a cosine of that length. What stands under “within dense's time” is read off these runs and one-sided: a run that took less time than dense counts with its last loss, one that took more is read off its curve in mid-run, where its learning rate is still high."
    case .time:
      "All structures have the training time of dense: that is the experiment. A structure whose step is faster has more steps, sees more tokens, and has a warm-up and a cosine of that length; a step was timed in turn with dense's when the survey began, and the “run time” column says how long the runs really took. What stands under “within dense's FLOPs” is read off these runs and one-sided: a run that had fewer FLOPs than dense counts with its last loss, one that had more is read off its curve in mid-run, where its learning rate is still high."
    }
  }

  /// The paragraph under the rules of a verdict that says when losses are compared.
  var comparedWhen: String {
    switch self {
    case .steps:
      "Losses are compared when dense had finished, and not when the first run had: to read dense off in mid-run would set a learning rate still high against one already lowered, and flatter the faster structure. So a faster structure is judged on less time than dense had, and what pays here pays all the more."
    case .flops:
      "Final losses are those at equal FLOPs. The loss at equal time is that when dense had finished: a run that took longer is read off its curve, and judged with a learning rate still high."
    case .time:
      "Final losses are those at equal time. A run that took longer or shorter than dense by less than the spacing of its evaluations counts as one that took as long; beyond that the loss at equal time is read off its curve when dense had finished, and its time counts as in a survey at equal FLOPs."
    }
  }
}

extension Comparison {
  /// The rules of ``verdict`` as the report states them.
  package static func rules(_ equality: SurveyRecord.Equality) -> [(verdict: Verdict, rule: String)] {
    let texts =
      switch equality {
      case .steps:
        (
          "at equal time its validation loss is below that of dense by more than the spread over seeds; or its final loss is, its step is no slower and its loss at equal time lower.",
          "it gives one thing for another: a faster step for a higher final loss, or a lower final loss for more time, each by more than the spread.",
          "its step is no faster than that of dense and its final loss no lower: slower with no lower loss, or equally fast with a higher one."
        )
      case .flops:
        (
          "at equal FLOPs its validation loss is below that of dense by more than the spread over seeds and its run takes no more time; or its loss is below that of dense already when dense had finished.",
          "at equal FLOPs it gives one thing for another: less time for a higher loss, or a lower loss for more time, each by more than the spread.",
          "at equal FLOPs its run takes no less time than that of dense and its loss is no lower: more time with no lower loss, or as much with a higher one."
        )
      case .time:
        (
          "at equal time its validation loss is below that of dense by more than the spread over seeds.",
          "its runs took another time than was planned, by more than the spacing of the evaluations: less with a higher loss, or more with a lower one.",
          "at equal time its loss is above that of dense by more than the spread over seeds; or its runs took longer than was planned, and its loss is no lower."
        )
      }
    return [
      (.pays, texts.0),
      (
        .mayPay,
        "it would pay, but was trained with one seed: the luck of its pattern and of its first weights is not measured, and the spread is that of dense. --seeds 3 measures it."
      ),
      (.trades, texts.1), (.doNotUse, texts.2),
      (
        .none,
        "a product was WRONG, a run is not finished, the structure is simulated, or the difference lies within the spread. Where the spread is unknown, because nothing was trained with more than one seed, there is no verdict."
      ),
    ]
  }
}
