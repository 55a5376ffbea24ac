/// HTML in the making. Text enters through ``escaped(_:)``; there is no way from a record to markup around it.
enum Markup {
  /// Safe as text and inside a quoted attribute; control characters become spaces.
  static func escaped(_ text: String) -> String {
    var out = ""
    out.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": out += "&amp;"
      case "<": out += "&lt;"
      case ">": out += "&gt;"
      case "\"": out += "&quot;"
      case "'": out += "&#39;"
      case "\n", "\t": out.unicodeScalars.append(scalar)
      case _ where scalar.properties.generalCategory == .control: out += " "
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }

  static func paragraph(_ text: String, class name: String? = nil) -> String {
    "<p\(name.map { " class=\"\($0)\"" } ?? "")>\(escaped(text))</p>\n"
  }

  static func code(_ text: String) -> String { "<code>\(escaped(text))</code>" }

  static func list(_ items: [String], most: Int = 50) -> String {
    var shown = items.prefix(most).map { "<li>\(escaped($0))</li>" }
    if items.count > most { shown.append("<li>… and \(items.count - most) more.</li>") }
    return "<ul>\n" + shown.joined(separator: "\n") + "\n</ul>\n"
  }

  /// A table that scrolls inside its own box; `rows` are cells that are markup already.
  static func table(_ name: String, caption: String, columns: [Column], rows: [Row]) -> String {
    let head = columns.map { column in
      "<th scope=\"col\"\(column.isText ? " class=\"t\"" : "")>\(escaped(column.name))"
        + (column.unit.isEmpty ? "" : "<small>\(escaped(column.unit))</small>") + "</th>"
    }
    let body = rows.map { row in
      let cells = zip(row.cells, columns).enumerated().map { index, pair in
        let kind = pair.1.isText ? " class=\"t\"" : ""
        return index == 0 ? "<th scope=\"row\">\(pair.0)</th>" : "<td\(kind)>\(pair.0)</td>"
      }
      return "<tr\(row.name.map { " class=\"\($0)\"" } ?? "")>\(cells.joined())</tr>"
    }
    return """
      <div class="scroll" role="region" tabindex="0" aria-label="\(escaped(caption))">
      <table class="\(name)">
      <thead><tr>\(head.joined())</tr></thead>
      <tbody>
      \(body.joined(separator: "\n"))
      </tbody>
      </table>
      </div>

      """
  }

  struct Column {
    var name: String
    var unit = ""
    var isText = false
  }

  struct Row {
    var cells: [String]
    var name: String?
  }
}
