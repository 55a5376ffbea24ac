import Arrays
import Structures

/// What a survey of a given size does. The standard one trains 3.6 million parameters with every structure: 32 runs of
/// 600 steps of at most 48 GFLOP, and 714 timed products: well over an hour on two hardware threads with AVX-512.
struct SurveyPreset {
  let name: String
  /// Globs; the bench takes each at every density.
  let structures: [String]
  var shapes: [Shape]
  var tokens: [Int]
  let densities: [Double]
  /// Seconds for one pass of one structure in the bench, all libraries together.
  let benchBudget: Double
  let model: String
  let steps: Int
  let trainingDensities: [Double]
  /// Dense always trains with `denseSeeds`: its spread is what every verdict is held against.
  let seeds: Int
  let denseSeeds: Int

  private static let reference = [Shape(outputs: 3072, inputs: 768), Shape(outputs: 768, inputs: 3072)]

  /// One member of every family.
  private static let everyFamily = [
    "dense", "narrow", "masked", "csr", "fanin", "nm-?:4", "vnm-*", "bsr-32", "blockdiagonal-*", "dyad-*",
    "monarch-*", "pixelfly-16", "lowrank-*", "blockdense-4", "btt-*", "lowrank+bsr-16", "lowrank+csr", "diagonal-*",
    "banded-*", "circulant-*", "blr-*",
  ]

  static let all: [SurveyPreset] = [
    SurveyPreset(
      name: "quick", structures: everyFamily,
      shapes: reference, tokens: [128], densities: [0.5, 0.25, 0.1], benchBudget: 0, model: "mistral-tiny", steps: 130,
      trainingDensities: [0.25], seeds: 1, denseSeeds: 2),
    SurveyPreset(
      name: "standard", structures: ["*"], shapes: reference, tokens: [32, 512], densities: [0.5, 0.25, 0.1],
      benchBudget: 0.3, model: "mistral-4m", steps: 600, trainingDensities: [0.25], seeds: 1, denseSeeds: 3),
    SurveyPreset(
      name: "full", structures: ["*"], shapes: reference, tokens: [1, 32, 512, 2048],
      densities: [0.5, 0.25, 0.2, 0.1, 0.05], benchBudget: 2, model: "mistral-162m", steps: 20000,
      trainingDensities: [0.5, 0.25, 0.1], seeds: 3, denseSeeds: 3),
  ]

  static func named(_ name: String) throws -> SurveyPreset {
    guard let preset = all.first(where: { $0.name == name }) else {
      throw Refusal.badInput("there is no survey '\(name)'; the surveys are \(all.map(\.name).joined(separator: ", "))")
    }
    return preset
  }
}
