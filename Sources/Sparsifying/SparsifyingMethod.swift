import Arrays
import Model
import Records
import Structures

/// A way to train with zeros: when patterns change, and to what.
package protocol SparsifyingMethod: Sendable {
  static var card: MethodCard { get }
  /// The numbers of a method for a structure's label, where nothing else is asked.
  static func settings(for label: String) -> TrainingConfiguration.Method
  /// - Throws: a `Refusal` for a structure that the method cannot train.
  static func check(_ sites: Sites) throws
  init(_ settings: TrainingConfiguration.Method, steps: Int)

  /// Training begins with dense matrices in the structure's place.
  var beginsDense: Bool { get }
  /// Dense matrices that stand beside the model all the time.
  var companion: DenseCompanion.Role? { get }
  /// Whether patterns change after so many steps.
  func isUpdate(after step: Int) -> Bool
  /// Whether a change needs the gradient of all weights, stored or not.
  var needsDenseGradient: Bool { get }
  /// Places of a group chosen after so many steps.
  func count(in sites: Sites, after step: Int) -> Int
  /// The places chosen next, ascending.
  /// - Parameters:
  ///   - now: the places chosen, ascending.
  ///   - scores: sum |w| for every place, over the matrices that share the pattern.
  ///   - gradient: sum |gradient| for every place where the method needs it.
  func next(
    _ sites: Sites, now: [Int], scores: [Float], gradient: [Float]?, after step: Int,
    using generator: inout SeededGenerator
  ) -> [Int]
}

extension SparsifyingMethod {
  package static func check(_ sites: Sites) throws {
    guard !sites.isTransposable else {
      throw Refusal.badInput(
        "\(card.name) cannot move the weights of \(sites.target.label); use sr-ste with nm-2:4t, or another structure")
    }
  }
  package var beginsDense: Bool { false }
  package var companion: DenseCompanion.Role? { nil }
  package var needsDenseGradient: Bool { false }
  package func count(in sites: Sites, after step: Int) -> Int { sites.finalCount }
}

/// What a method is, for people.
package struct MethodCard: Sendable {
  /// What `--method` calls it.
  package let name: String
  package let summary: String
  package let source: String
}

/// The only list of methods that move weights; `static` moves none and needs none.
package enum Methods {
  package static let all: [any SparsifyingMethod.Type] = [
    GradualMagnitude.self, SET.self, RigL.self, PruneAndGrow.self, StraightThrough.self,
  ]
  package static let names = ["static"] + all.map { $0.card.name }

  /// - Throws: a `Refusal` that lists the methods.
  package static func named(_ name: String) throws -> any SparsifyingMethod.Type {
    guard let type = all.first(where: { $0.card.name == name }) else {
      throw Refusal.badInput("there is no method '\(name)'; the methods are \(names.joined(separator: ", "))")
    }
    return type
  }
}
