/// The three matrices of a gated MLP of one family: h = silu(gate x) * (up x), y = down h.
public struct GatedMLP: Sendable {
  /// How the random patterns of the three are drawn.
  public enum Masks: String, Sendable, CaseIterable, Codable {
    /// Gate and up have one pattern, and down reads the hidden units that it leaves alive.
    case shared
    /// Each has its own: a hidden unit lives only where all three happen to reach it.
    case independent
  }

  public let gate: any Structure
  public let up: any Structure
  public let down: any Structure

  /// - Parameters:
  ///   - label: of one structure, used for all three.
  ///   - width: hidden units of the dense MLP; ``Structure/hiddenUnits(of:density:)`` may make it narrower.
  ///   - seeds: of gate, up and down; up's counts only for independent masks.
  public init(
    _ label: String, features: Int, width: Int, density: Double, masks: Masks,
    seeds: (gate: UInt64, up: UInt64, down: UInt64)
  ) throws {
    let type = try Catalog.family(of: label).type
    let hidden = type.hiddenUnits(of: width, density: density)
    // A narrower MLP is dense inside.
    let density = hidden < width ? 1 : density
    let wide = Shape(outputs: hidden, inputs: features), tall = Shape(outputs: features, inputs: hidden)
    gate = try Catalog.member(label, of: wide, density: density, seed: seeds.gate)
    down = try GatedMLP.down(label, tall, density, masks, gate.liveOutputs, seed: seeds.down)
    up = masks == .shared ? gate : try Catalog.member(label, of: wide, density: density, seed: seeds.up)
  }

  private static func down(
    _ label: String, _ shape: Shape, _ density: Double, _ masks: Masks, _ live: [Bool], seed: UInt64
  ) throws -> any Structure {
    let member = try Catalog.member(label, of: shape, density: density, seed: seed)
    return masks == .shared ? member.reading(only: live, seed: seed) : member
  }

  /// Hidden units that some input reaches through both gate and up and that reach some output.
  public var effectiveWidth: Int {
    zip(zip(gate.liveOutputs, up.liveOutputs), down.liveInputs).reduce(0) { $0 + ($1.0.0 && $1.0.1 && $1.1 ? 1 : 0) }
  }
}
