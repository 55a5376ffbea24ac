/// A small seeded generator (SplitMix64, Steele, Lea and Flood 2014): the same seed gives the same bits on every machine.
///
/// Derived streams are made with ``init(seed:_:)``, so that a tensor's numbers depend on the run's seed and on the
/// tensor's own name, never on how many others were drawn before.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  /// The stream that belongs to `name` under `seed`.
  public init(seed: UInt64, _ name: String) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    self.init(seed: seed &+ SeededGenerator.mix(hash))
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return SeededGenerator.mix(state)
  }

  /// Uniform in [0, 1), 53 bits.
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Uniform in 0 ..< bound by multiplication (Lemire 2019, without the rejection: the bias is below bound / 2^64).
  public mutating func index(below bound: Int) -> Int {
    Int(next().multipliedFullWidth(by: UInt64(bound)).high)
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
