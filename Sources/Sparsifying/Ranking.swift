/// Places in the order of their scores, equal scores in the order of places: the same on every machine.
enum Ranking {
  /// Weakest first. Scores are finite and not negative, so that their bit patterns order as they do.
  static func ascending(_ places: [Int], by scores: [Float]) -> [Int] {
    places.map { UInt64(scores[$0].bitPattern) << 32 | UInt64($0) }.sorted().map { Int($0 & 0xffff_ffff) }
  }

  /// Strongest first; of equal ones the first place first.
  static func descending(_ places: [Int], by scores: [Float]) -> [Int] {
    places.map { UInt64(~scores[$0].bitPattern) << 32 | UInt64($0) }.sorted().map { Int($0 & 0xffff_ffff) }
  }
}
