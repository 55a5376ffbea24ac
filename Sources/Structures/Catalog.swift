import Arrays
import Synchronization

/// The only list of structures. Survey, trainer, checkpoint, report, README table and tests walk it.
public enum Catalog {
  /// The package's own families, then those that ``add(_:)`` brought.
  public static var all: [any Structure.Type] { own + added.withLock { $0 } }

  private static let added = Mutex<[any Structure.Type]>([])

  /// Makes a family from outside the package known to everything that walks the list, for the life of the process.
  /// - Throws: a `Refusal` when a family of that name is there.
  public static func add(_ type: any Structure.Type) throws {
    let name = type.card.family
    try added.withLock { added in
      guard !(own + added).contains(where: { $0.card.family == name }) else {
        throw Refusal.badInput("there is already a family '\(name)'; give yours another name")
      }
      added.append(type)
    }
  }

  private static let own: [any Structure.Type] = [
    Dense.self,
    Narrow.self,
    Masked.self,
    CSR.self,
    FanIn.self,
    NM.self,
    VNM.self,
    BSR.self,
    BlockDiagonal.self,
    Dyad.self,
    Monarch.self,
    Pixelfly.self,
    LowRank.self,
    BlockDense.self,
    BTT.self,
    LowRankPlusBSR.self,
    LowRankPlusCSR.self,
    Diagonal.self,
    Banded.self,
    Circulant.self,
    BlockLowRank.self,
  ]

  /// The family whose name begins `label`, and what follows the name.
  /// - Throws: a `Refusal` that lists the families.
  public static func family(of label: String) throws -> (type: any Structure.Type, parameters: String) {
    let matches = all.filter { label == $0.card.family || label.hasPrefix($0.card.family + "-") }
    guard let type = matches.max(by: { $0.card.family.count < $1.card.family.count }), !label.hasSuffix("-") else {
      throw Refusal.badInput(
        "there is no structure '\(label)'; the families are \(all.map { $0.card.family }.joined(separator: ", "))")
    }
    return (type, label == type.card.family ? "" : String(label.dropFirst(type.card.family.count + 1)))
  }

  /// The member that a whole label names, or the family's nearest to the density where the label is the family's name.
  public static func member(
    _ label: String, of shape: Shape, density: Double, seed: UInt64
  ) throws -> any Structure {
    try check(density: density)
    try check(shape)
    let (type, parameters) = try family(of: label)
    if parameters.isEmpty, label != "dense", let member = type.members(of: shape, density: density, seed: seed).last {
      return member
    }
    if parameters.isEmpty, type.card.grammar != type.card.family {
      throw Refusal.badInput(
        "\(label) has no member of shape \(shape) at density \(density); write \(type.card.grammar)")
    }
    return try fitted(type, parameters, shape).init(
      parameters: parameters, shape: shape, density: density, seed: seed)
  }

  /// The member that a checkpoint describes by its label and index arrays: hostile, all of it checked.
  public static func member(_ label: String, of shape: Shape, pattern: Pattern) throws -> any Structure {
    try check(shape)
    let (type, parameters) = try family(of: label)
    return try fitted(type, parameters, shape).init(parameters: parameters, shape: shape, pattern: pattern)
  }

  /// The type itself where the label fits the shape, else the one that pads it.
  private static func fitted<S: Structure>(
    _ type: S.Type, _ parameters: String, _ shape: Shape
  ) throws -> any Structure.Type {
    try type.paddedShape(parameters: parameters, shape: shape) == shape ? type : Padded<S>.self
  }

  static func check(_ shape: Shape) throws {
    guard !shape.outputs.multipliedReportingOverflow(by: shape.inputs).overflow, shape.count <= 1 << 30 else {
      throw Refusal.badInput("a matrix of shape \(shape) has more than 2^30 weights, the most that is planned for")
    }
  }

  /// All members whose labels match one of the patterns, at each density: globs pick the members nearest to and not
  /// above it, whole labels name one.
  /// - Throws: a `Refusal` when a pattern is not a label, or matches nothing at any density.
  public static func select(
    _ patterns: [String], of shape: Shape, densities: [Double], seed: UInt64
  ) throws -> [(member: any Structure, requestedDensity: Double)] {
    for density in densities { try check(density: density) }
    var chosen: [(member: any Structure, requestedDensity: Double)] = []
    var seen = Set<String>()
    func choose(_ member: any Structure, _ density: Double) {
      guard seen.insert("\(member.label) \(member.density)").inserted else { return }
      chosen.append((member, density))
    }
    for pattern in patterns {
      let before = seen.count
      if pattern.contains(where: { "*?".contains($0) }) {
        // Only families whose labels can match are built: a member may have millions of weights.
        let fixed = String(pattern.prefix { !"*?".contains($0) })
        for type in all where type.card.family.hasPrefix(fixed) || fixed.hasPrefix(type.card.family) {
          for density in type.card.family == "dense" ? [1] : densities {
            for member in type.members(of: shape, density: density, seed: seed)
            where matches(member.label, glob: pattern) {
              choose(member, density)
            }
          }
        }
        guard seen.count > before || all.contains(where: { matches($0.card.family, glob: pattern) }) else {
          throw Refusal.badInput(
            "no structure of shape \(shape) matches '\(pattern)' at density \(densities.map { "\($0)" }.joined(separator: ", "))"
          )
        }
      } else {
        let type = try family(of: pattern).type
        for density in type.card.densityIsFree || pattern == type.card.family ? densities : [densities.first ?? 1] {
          choose(try member(pattern, of: shape, density: density, seed: seed), density)
        }
      }
    }
    return chosen
  }

  private static func check(density: Double) throws {
    guard density > 0, density <= 1 else {
      throw Refusal.badInput("density \(density) is not above 0 and at most 1")
    }
  }

  /// Whether `text` matches a pattern in which * stands for any characters and ? for one.
  static func matches(_ text: String, glob: String) -> Bool {
    let text = Array(text.utf8), glob = Array(glob.utf8)
    var t = 0, g = 0, star = -1, mark = 0
    while t < text.count {
      if g < glob.count, glob[g] == text[t] || glob[g] == UInt8(ascii: "?") {
        (t, g) = (t + 1, g + 1)
      } else if g < glob.count, glob[g] == UInt8(ascii: "*") {
        (star, mark) = (g, t)
        g += 1
      } else if star >= 0 {
        g = star + 1
        mark += 1
        t = mark
      } else {
        return false
      }
    }
    return glob[g...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}

extension Array {
  /// The first index from which `belongs` holds on, where it holds on a suffix.
  func partitioningIndex(where belongs: (Element) -> Bool) -> Int {
    var low = 0, high = count
    while low < high {
      let middle = (low + high) / 2
      if belongs(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
