import Arrays
import Records

/// Block prune-and-grow: the blocks of smallest L1 norm go, as many come at random.
///
/// Constants of Dietrich et al. (2021, arXiv 2108.06277) for 16 x 16 blocks: half of the blocks at first, decayed by a
/// cosine, at 80 moments of the run. They found random regrowth better than regrowth by gradient: the gradient of all
/// weights follows the outliers among the activations back to the same columns.
package struct PruneAndGrow: SparsifyingMethod {
  package static let card = MethodCard(
    name: "prune-and-grow", summary: "blocks: the weakest leave, others come at random",
    source: "after BLaST, Okanovic et al. 2025 (arXiv 2507.03117); constants Dietrich et al. 2021 (arXiv 2108.06277)")

  private let exchange: SET

  package static func settings(for label: String) -> TrainingConfiguration.Method {
    TrainingConfiguration.Method(name: card.name, updates: 80, dropFraction: 0.5, start: 0, stop: 1)
  }

  package static func check(_ sites: Sites) throws {
    guard sites.covers else {
      throw Refusal.badInput("\(card.name) moves blocks, and \(sites.target.label) has none; use set, or bsr-B")
    }
  }

  package init(_ settings: TrainingConfiguration.Method, steps: Int) {
    var settings = settings
    settings.updates = settings.updates ?? 80
    exchange = SET(settings, steps: steps)
  }

  package func isUpdate(after step: Int) -> Bool { exchange.isUpdate(after: step) }

  package func next(
    _ sites: Sites, now: [Int], scores: [Float], gradient: [Float]?, after step: Int,
    using generator: inout SeededGenerator
  ) -> [Int] {
    exchange.next(sites, now: now, scores: scores, gradient: nil, after: step, using: &generator)
  }
}
