import Arrays
import Structures

/// The structures that a bench or a survey times at one shape, and what is to be said about those that it does not.
struct StructureChoice {
  private(set) var members: [(member: any Structure, requestedDensity: Double)]
  /// Sentences; on patterns that a person named, or densities that a person asked for.
  private(set) var remarks: [String] = []

  /// At densities that were `asked` for every pattern that a person `named` must have a member, and at the `usual` ones those
  /// that have none are left out, and named in the remarks; without a member at any a pattern is refused. A pattern that
  /// nobody named is left out where it has none, with a remark at densities that were asked for.
  init(
    _ patterns: [String], of shape: Shape, named: Bool = true, asked: [Double], usual: [Double], seed: UInt64
  ) throws {
    if asked.isEmpty, let all = try? Catalog.select(patterns, of: shape, densities: usual, seed: seed) {
      members = all
      return
    }
    members = []
    if named {
      members = asked.isEmpty ? [] : try Catalog.select(patterns, of: shape, densities: asked, seed: seed)
    } else if let all = try? Catalog.select(patterns, of: shape, densities: asked, seed: seed) {
      members = all
    } else {
      for pattern in patterns {
        for density in asked {
          if let refusal = add(pattern, shape, density, seed) { remark(refusal, shape, density) }
        }
      }
    }
    for pattern in patterns {
      if named, let density = asked.first { try remarkOwnDensity(pattern, shape, asked: density, seed: seed) }
      var refusal: Refusal?
      var isFound = !asked.isEmpty
      for density in usual.sorted(by: >) where !asked.contains(density) {
        if let found = add(pattern, shape, density, seed) {
          refusal = refusal ?? found
          if named { remark(found, shape, density) }
        } else {
          isFound = true
        }
      }
      if let refusal, !isFound, named { throw refusal }
    }
  }

  private mutating func remark(_ refusal: Refusal, _ shape: Shape, _ density: Double) {
    remarks.append("not timed at \(shape), density \(density): \(refusal.sentence)")
  }

  /// Adds the members of a pattern at one density that are not there yet; why there are none, where there are none.
  private mutating func add(_ pattern: String, _ shape: Shape, _ density: Double, _ seed: UInt64) -> Refusal? {
    do {
      for more in try Catalog.select([pattern], of: shape, densities: [density], seed: seed)
      where !members.contains(where: {
        $0.member.label == more.member.label && $0.member.density == more.member.density
      }) {
        members.append(more)
      }
      return nil
    } catch {
      return error as? Refusal ?? .failed("\(error)")
    }
  }

  /// A whole label may decide its density, whatever was asked for.
  private mutating func remarkOwnDensity(_ pattern: String, _ shape: Shape, asked: Double, seed: UInt64) throws {
    guard !pattern.contains(where: { "*?".contains($0) }) else { return }
    let card = try Catalog.family(of: pattern).type.card
    guard pattern != card.family, !card.densityIsFree,
      let member = members.first(where: { $0.member.label == pattern })?.member, member.density > asked
    else { return }
    let density = (member.density * 1e4).rounded() / 1e4
    remarks.append("the label \(pattern) decides its density, \(density) at \(shape), above the \(asked) asked for")
  }
}
