/// A family whose label and shape say all: no random pattern, no density left open.
public protocol FixedStructure: Structure {
  /// The member named by the text after "family-".
  init(parameters: String, shape: Shape) throws
}

extension FixedStructure {
  public var pattern: Pattern { Pattern() }

  public init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws {
    try self.init(parameters: parameters, shape: shape)
  }

  public init(parameters: String, shape: Shape, pattern: Pattern) throws {
    try self.init(parameters: parameters, shape: shape)
  }

  /// The member with the fewest groups whose density is not above `density`, for families whose parameter is a number of
  /// groups: none, or one.
  static func fewestGroups(of shape: Shape, density: Double) -> [Self] {
    for groups in shape.commonDivisors {
      guard let member = try? Self(parameters: "\(groups)", shape: shape) else { continue }
      if member.density <= density { return [member] }
    }
    return []
  }

  /// The member of the largest rank not above `density`, where each rank stores `each` values.
  static func largestRank(of shape: Shape, density: Double, each: Int) -> [Self] {
    guard density > 0, density <= 1 else { return [] }
    let rank = Int(density * Double(shape.count) / Double(each))
    return (try? Self(parameters: "\(rank)", shape: shape)).map { [$0] } ?? []
  }
}
