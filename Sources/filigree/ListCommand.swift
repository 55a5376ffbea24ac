import ArgumentParser
import Foundation
import Structures

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "The catalog: labels, formulas, costs, densities, sources.")

  @OptionGroup var global: GlobalOptions
  @Flag(help: "The README's table.") var markdown = false

  private struct Row: Encodable {
    let family: String
    let labels: String
    let summary: String
    let formula: String
    let stored: String
    let densities: String
    let densityIsFree: Bool
    let devices: [String]
    /// Of the device that --device names: the primitive that it lacks.
    let missing: String?
    let isSimulated: Bool
    let source: String
  }

  func run() throws {
    let device = try global.makeDevice()
    if markdown { return Output.line(CatalogTable.markdown) }
    let missing = Dictionary(uniqueKeysWithValues: try Catalog.unsupported(on: device).map { ($0.family, $0.reason) })
    let rows = Catalog.all.map { type in
      let card = type.card
      return Row(
        family: card.family, labels: card.grammar, summary: card.summary, formula: card.formula, stored: card.stored,
        densities: card.densities, densityIsFree: card.densityIsFree, devices: ["cpu", "cuda"],
        missing: missing[card.family],
        isSimulated: card.isSimulated, source: card.source)
    }
    if global.json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      return Output.line(String(decoding: try encoder.encode(rows), as: UTF8.self))
    }
    for row in rows {
      Output.line(
        "\(row.labels)\n    \(row.summary)\n    \(row.formula); stores \(row.stored); density \(row.densities)")
      if let sentence = row.missing { Output.line("    not on \(device.name): \(sentence)") }
      Output.line("    \(row.source)\n")
    }
  }
}
