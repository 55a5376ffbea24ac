/// The catalog as the README shows it, made from the cards so that it cannot be out of date.
public enum CatalogTable {
  public static var markdown: String {
    let head = ["label", "structure", "definition", "stored weights", "densities", "source"]
    let rows = Catalog.all.map { type in
      let card = type.card
      return ["`\(card.grammar)`", card.summary, "`\(card.formula)`", card.stored, card.densities, card.source]
    }
    let rule = head.map { _ in "---" }
    return ([head, rule] + rows).map { "| \($0.joined(separator: " | ")) |" }.joined(separator: "\n")
  }
}
