import Arrays
import Model
import Records

/// SR-STE with transposable 2:4: dense weights W are trained, and the model multiplies by those on the pattern.
///
///     y = (M * W) x,   dx = (M * W)' dy,   dW = dy x' + lambda (1 - M) * W
///
/// M is chosen anew every 40 steps, in each 4 x 4 tile the best of the 90 patterns with two in each row and column, so
/// that the forward product and the input gradient are both 2:4 (Hu et al. 2024, arXiv 2404.01847; lambda 6e-5 is their
/// recipe's for GPT-2 124M). The weight gradient is dense; their dense steps at the end are left out, because the model
/// shall end sparse. Weight decay acts on all of W, which is all there.
package struct StraightThrough: SparsifyingMethod {
  package static let card = MethodCard(
    name: "sr-ste", summary: "transposable 2:4 of dense weights that go on training, with decay of those left out",
    source: "Zhou et al. 2021 (arXiv 2102.04010); transposable Hu et al. 2024 (arXiv 2404.01847)")

  private let refreshEvery: Int
  private let steps: Int
  package let maskedDecay: Double

  package static func settings(for label: String) -> TrainingConfiguration.Method {
    TrainingConfiguration.Method(name: card.name, maskedDecay: 6e-5, refreshEvery: 40)
  }

  package static func check(_ sites: Sites) throws {
    guard sites.isTransposable, sites.groupSize == 4, sites.finalCount == 2 else {
      throw Refusal.badInput("\(card.name) trains nm-2:4t, not \(sites.target.label)")
    }
  }

  package init(_ settings: TrainingConfiguration.Method, steps: Int) {
    refreshEvery = settings.refreshEvery ?? 40
    maskedDecay = settings.maskedDecay ?? 6e-5
    self.steps = steps
  }

  package var companion: DenseCompanion.Role? { .master }
  /// Also before the first step: the first pattern is that of the first weights.
  package func isUpdate(after step: Int) -> Bool { step < steps && step.isMultiple(of: refreshEvery) }

  package func next(
    _ sites: Sites, now: [Int], scores: [Float], gradient: [Float]?, after step: Int,
    using generator: inout SeededGenerator
  ) -> [Int] {
    TransposableSearch.places(rows: sites.rows, columns: sites.columns, scores: scores)
  }
}
