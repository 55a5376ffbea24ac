import Arrays
import Structures

/// The structures that a bench or a survey times at one shape, and what is to be said about those that it does not.
struct StructureChoice {
  private(set) var members: [(member: any Structure, requestedDensity: Double)]
  /// Sentences; for patterns that a person asked for.
  private(set) var remarks: [String] = []

  /// At densities that were `asked` for every pattern must have a member; at the `usual` ones those that have none are left
  /// out, and named in the remarks. A pattern without a member at any is refused.
  init(_ patterns: [String], of shape: Shape, asked: [Double], usual: [Double], seed: UInt64) throws {
    if asked.isEmpty, let all = try? Catalog.select(patterns, of: shape, densities: usual, seed: seed) {
      members = all
      return
    }
    members = asked.isEmpty ? [] : try Catalog.select(patterns, of: shape, densities: asked, seed: seed)
    for pattern in patterns {
      if let density = asked.first { try remarkOwnDensity(pattern, shape, asked: density, seed: seed) }
      var refusal: Refusal?
      var isFound = !asked.isEmpty
      for density in usual.sorted(by: >) where !asked.contains(density) {
        do {
          for more in try Catalog.select([pattern], of: shape, densities: [density], seed: seed)
          where !members.contains(where: {
            $0.member.label == more.member.label && $0.member.density == more.member.density
          }) {
            members.append(more)
          }
          isFound = true
        } catch let found as Refusal {
          refusal = refusal ?? found
          remarks.append("not timed at \(shape), density \(density): \(found.sentence)")
        }
      }
      if let refusal, !isFound { throw refusal }
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
