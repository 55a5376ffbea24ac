import Foundation

/// A gnuplot script (5.4 or later) that draws one figure once.
///
/// Words from outside stand in single quotes only, where gnuplot expands nothing, and with control characters removed;
/// numbers are printed from Double; nothing else of a record reaches the script.
package struct FigureScript {
  package enum Terminal: Sendable { case svg, png }

  package let text: String

  package init(_ figure: Figure, width: FigureCanvas.Width, palette: FigurePalette, terminal: Terminal, output: String)
  {
    let canvas = FigureCanvas(for: figure, width)
    let size = "\(Int(canvas.width)),\(Int(canvas.height))"
    var lines = ["set encoding utf8"]
    switch terminal {
    case .svg:
      lines.append("set terminal svg size \(size) fixed noenhanced font 'sans-serif,\(Int(canvas.fontSize))' butt")
    case .png:
      let double = "\(2 * Int(canvas.width)),\(2 * Int(canvas.height))"
      let points = Self.number(canvas.fontSize * 0.75)
      lines.append(
        "set terminal pngcairo size \(double) noenhanced font 'sans-serif,\(points)' fontscale 2 linewidth 2 pointscale 2.8 background rgb '#ffffff'"
      )
    }
    lines.append("set output \(Self.quoted(output))")
    lines.append(
      "unset key; set samples 2; set tics nomirror out scale 0.4; set border 3 lw 1 lc rgb '\(palette.muted)'")
    lines.append("set multiplot")
    for (index, panel) in figure.panels.enumerated() {
      lines += Self.panel(
        panel, index: index, canvas: canvas, palette: palette, isLast: index == figure.panels.count - 1
      ) {
        Self.legend(figure.legend, canvas: canvas, palette: palette)
      }
    }
    lines += ["unset multiplot", "unset output"]
    text = lines.joined(separator: "\n") + "\n"
  }

  /// Single quotes, doubled inside; one line, printable, at most 200 characters unless it is a path.
  package static func quoted(_ text: String) -> String {
    let printable = text.unicodeScalars.filter {
      $0.value >= 0x20 && $0.value != 0x7F && $0.properties.generalCategory != .control
    }
    return "'" + String(String.UnicodeScalarView(printable)).replacingOccurrences(of: "'", with: "''") + "'"
  }

  /// As a figure prints a name: no more than 28 characters.
  package static func short(_ name: String) -> String {
    name.count <= 28 ? name : name.prefix(27) + "…"
  }

  private static func number(_ x: Double) -> String { String(format: "%.7g", x.isFinite ? x : 0) }

  private static func panel(
    _ panel: Figure.Panel, index: Int, canvas: FigureCanvas, palette: FigurePalette, isLast: Bool,
    legend: () -> [String]
  ) -> [String] {
    let box = canvas.panels[index]
    func across(_ x: Double) -> String { number(x / canvas.width) }
    func up(_ y: Double) -> String { number(1 - y / canvas.height) }
    var lines = ["unset label; unset arrow; unset logscale"]
    lines.append("set lmargin at screen \(across(box.left)); set rmargin at screen \(across(box.right))")
    lines.append("set tmargin at screen \(up(box.top)); set bmargin at screen \(up(box.bottom))")
    if panel.x.isLogarithmic { lines.append("set logscale x 10") }
    if panel.y.isLogarithmic { lines.append("set logscale y 10") }
    lines.append("set xrange [\(number(panel.x.low)):\(number(panel.x.high))]")
    lines.append("set yrange [\(number(panel.y.low)):\(number(panel.y.high))]")
    let room = box.right - box.left
    lines.append("set xtics (\(marks(panel.x, count: Int(room / 62)))) textcolor rgb '\(palette.muted)'")
    let showsY = index == 0 || canvas.isStacked
    let vertical = panel.y.marks(count: Int((box.bottom - box.top) / 44))
    let texts = vertical.map { "\(quoted(showsY ? $0.text : "")) \(number($0.value))" }.joined(separator: ", ")
    lines.append("set ytics (\(texts)) textcolor rgb '\(palette.muted)'")
    lines.append("set grid ytics back lt 1 lw 1 lc rgb '\(palette.rule)'")
    lines.append("unset xlabel")
    let middle = (box.left + box.right) / 2
    lines.append(label(panel.x.label, at: (across(middle), up(box.bottom + 42)), "center", palette.muted))
    if showsY { lines.append(label(panel.y.label, at: (across(8), up(box.top - 18)), "left", palette.muted)) }
    if let title = panel.title {
      let place = canvas.isStacked ? (across(8), up(box.top - 38)) : (across(box.left), up(box.top - 38))
      lines.append(label(title, at: place, "left", palette.ink))
    }
    for reference in panel.references {
      let (a, b) = (reference.from, reference.to)
      lines.append(
        "set arrow from first \(number(a.x)),\(number(a.y)) to first \(number(b.x)),\(number(b.y)) nohead back lw 1.2 dt (5,4) lc rgb '\(palette.muted)'"
      )
      let (from, to) = (panel.y.fraction(a.y), panel.y.fraction(b.y))
      let height = reference.place == .right ? to : (reference.place == .left ? from : from + 0.07 * (to - from))
      let (start, end) = (panel.x.fraction(a.x), panel.x.fraction(b.x))
      let along = reference.place == .right ? end : (reference.place == .left ? start : start + 0.07 * (end - start))
      let x = box.left + along * room + (reference.place == .right ? -3 : (reference.place == .left ? 3 : 9))
      let y = box.bottom - height * (box.bottom - box.top) - (reference.place == .beside ? 2 : 10)
      if !reference.label.isEmpty {
        let alignment = reference.place == .right ? "right" : "left"
        lines.append(label(reference.label, at: (across(x), up(y)), alignment, palette.muted))
      }
    }
    for (name, place) in zip(panel.names, canvas.places(of: panel.names.map(shortened), on: panel, in: box)) {
      guard let place else { continue }
      let colour = name.style.colour(in: palette)
      let y = (place.box.top + place.box.bottom) / 2
      lines.append(label(short(name.name), at: (across(place.box.left), up(y)), "left", colour))
      if let (from, to) = place.leader {
        lines.append(
          "set arrow from screen \(across(from.x)),\(up(from.y)) to screen \(across(to.x)),\(up(to.y)) nohead front lw 0.8 lc rgb '\(colour)'"
        )
      }
    }
    if isLast { lines += legend() }
    return lines + plot(panel, palette: palette)
  }

  private static func shortened(_ name: Figure.PointName) -> Figure.PointName {
    Figure.PointName(name: short(name.name), style: name.style, x: name.x, y: name.y)
  }

  private static func marks(_ axis: FigureAxis, count: Int) -> String {
    axis.marks(count: count).map { "\(quoted($0.text)) \(number($0.value))" }.joined(separator: ", ")
  }

  private static func label(
    _ text: String, at place: (x: String, y: String), _ alignment: String, _ colour: String
  ) -> String {
    "set label \(quoted(text)) at screen \(place.x),\(place.y) \(alignment) front textcolor rgb '\(colour)'"
  }

  private static func plot(_ panel: Figure.Panel, palette: FigurePalette) -> [String] {
    var blocks: [String] = []
    var terms: [String] = []
    for (index, series) in panel.series.enumerated() where !series.points.isEmpty {
      blocks.append("$series\(index) << END_OF_SERIES")
      blocks += series.points.map { "\(number($0.x)) \(number($0.y)) \(number($0.low)) \(number($0.high))" }
      blocks.append("END_OF_SERIES")
      let style = series.style
      let colour = "lc rgb '\(style.colour(in: palette))'"
      let line = "lw \(number(style.lineWidth)) dt \(style.dash) \(colour)"
      let point = "pt \(style.pointType) \(colour)"
      switch series.kind {
      case .line: terms.append("$series\(index) using 1:2 with lines \(line)")
      case .faintLine: terms.append("$series\(index) using 1:2 with lines lw 1 dt \(style.dash) \(colour)")
      case .points: terms.append("$series\(index) using 1:2 with points \(point) ps 0.7")
      case .linePoints:
        terms.append("$series\(index) using 1:2 with lines \(line)")
        terms.append("$series\(index) using 1:2 with points \(point) ps 0.7")
      case .errorBars:
        terms.append("$series\(index) using 1:3:(0):($4-$3) with vectors nohead lw 1.6 \(colour)")
        terms.append("$series\(index) using 1:2 with points \(point) ps 1.1")
      case .front:
        terms.append("$series\(index) using 1:2 with steps lw 1.4 dt (8,3,2,3) lc rgb '\(palette.muted)'")
      }
    }
    return blocks + ["plot " + (terms.isEmpty ? "NaN notitle" : terms.joined(separator: ", \\\n  "))]
  }

  private static func legend(
    _ entries: [Figure.LegendEntry], canvas: FigureCanvas, palette: FigurePalette
  ) -> [String] {
    let columnWidth = (canvas.width - 54 - 16) / Double(max(1, canvas.legendColumns))
    let rows = (entries.count + canvas.legendColumns - 1) / max(1, canvas.legendColumns)
    var lines: [String] = []
    for (index, entry) in entries.enumerated() {
      let x = 54 + Double(index / max(1, rows)) * columnWidth
      let y = canvas.legendTop + (Double(index % max(1, rows)) + 0.5) * FigureCanvas.legendRow
      let (from, to) = (number(x / canvas.width), number((x + FigureCanvas.legendSample) / canvas.width))
      let height = number(1 - y / canvas.height)
      let colour = entry.style.colour(in: palette)
      if entry.hasLine {
        lines.append(
          "set arrow from screen \(from),\(height) to screen \(to),\(height) nohead lw \(number(entry.style.lineWidth)) dt \(entry.style.dash) lc rgb '\(colour)'"
        )
      }
      if entry.hasPoint {
        let middle = number((x + FigureCanvas.legendSample / 2) / canvas.width)
        lines.append(
          "set label '' at screen \(middle),\(height) point pt \(entry.style.pointType) ps 0.8 lc rgb '\(colour)'")
      }
      let place = (number((x + FigureCanvas.legendSample + 6) / canvas.width), height)
      lines.append(label(short(entry.name), at: place, "left", palette.ink))
    }
    return lines
  }
}
