import Arrays

/// A linear map from a flat vector of values to a longer one, each entry of which is a value, its negative, or zero.
///
///     expanded[k] = values[index[k]]        where index[k] >= 0
///                 = -values[~index[k]]      where index[k] < 0, but
///                 = 0                       where index[k] = Int32.min
///
/// It lets a structure whose weights are tied (circulant) or masked use products made for free weights. The transposed map,
/// which gradients need, is kept beside it by value, so that its sums have one order.
public final class Expansion: Sendable {
  /// A place of `index` whose entry is zero.
  public static let zero = Int32.min

  /// Values that are expanded.
  public let values: Int
  public let index: [Int32]
  /// Value v stands at the places position[k], k in start[v] ..< start[v + 1], ascending; ~position where negated.
  public let start: [Int32]
  public let position: [Int32]

  /// Entries of the expanded vector.
  public var count: Int { index.count }

  /// - Precondition: every index names one of `values` values, and there are fewer than 2^31 places.
  public init(values: Int, index: [Int32]) {
    precondition(values >= 0 && index.count < Int(Int32.max))
    var start = [Int32](repeating: 0, count: values + 1)
    for i in index where i != Expansion.zero { start[Int(i < 0 ? ~i : i) + 1] += 1 }
    for v in 0..<values { start[v + 1] += start[v] }
    var next = start
    var position = [Int32](repeating: 0, count: Int(start[values]))
    for (place, i) in index.enumerated() where i != Expansion.zero {
      let v = Int(i < 0 ? ~i : i)
      position[Int(next[v])] = i < 0 ? ~Int32(place) : Int32(place)
      next[v] += 1
    }
    self.values = values
    self.index = index
    self.start = start
    self.position = position
  }
}
