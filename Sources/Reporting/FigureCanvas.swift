import Foundation

/// The size and inner layout of one rendering of a figure, in pixels from the top left.
///
/// The legend stands below the panels in as many columns as its longest name allows, and the canvas grows with it, so
/// that twenty-five structures leave the panels as large as three do.
package struct FigureCanvas: Sendable {
  package enum Width: Sendable, CaseIterable { case wide, narrow }

  package let width: Double
  package let height: Double
  package let fontSize: Double
  package let panels: [Box]
  package let legendColumns: Int
  package let legendTop: Double
  package let isStacked: Bool

  package struct Box: Sendable, Equatable {
    package var left: Double
    package var top: Double
    package var right: Double
    package var bottom: Double

    package func intersects(_ other: Box) -> Bool {
      left < other.right && other.left < right && top < other.bottom && other.top < bottom
    }
  }

  package static let legendRow = 21.0
  package static let legendSample = 28.0

  package init(for figure: Figure, _ size: Width) {
    let isWide = size == .wide
    width = isWide ? 920 : 400
    fontSize = 13
    isStacked = !isWide
    let (left, right, above, below) = (54.0, 16.0, figure.panels.count > 1 ? 54.0 : 34.0, 58.0)
    let count = Double(max(1, figure.panels.count))
    var boxes: [Box] = []
    if isWide || figure.panels.count == 1 {
      let gap = 22.0
      let panelWidth = (width - left - right - gap * (count - 1)) / count
      let panelHeight = isWide ? (figure.panels.count > 1 ? 330.0 : 400) : 300
      for index in 0..<figure.panels.count {
        let x = left + Double(index) * (panelWidth + gap)
        boxes.append(Box(left: x, top: above, right: x + panelWidth, bottom: above + panelHeight))
      }
    } else {
      let panelHeight = 240.0
      for index in 0..<figure.panels.count {
        let y = above + Double(index) * (panelHeight + above + 52)
        boxes.append(Box(left: left, top: y, right: width - right, bottom: y + panelHeight))
      }
    }
    panels = boxes
    legendTop = (boxes.last?.bottom ?? above) + below + 8
    let longest = figure.legend.map { Self.textWidth($0.name, fontSize: 13) }.max() ?? 0
    let entry = Self.legendSample + 6 + longest + 12
    legendColumns = max(1, min(figure.legend.count, Int((width - left - right) / entry)))
    let rows = figure.legend.isEmpty ? 0 : (figure.legend.count + legendColumns - 1) / legendColumns
    height = legendTop + Double(rows) * Self.legendRow + 6
  }

  /// A generous estimate, as the font is the reader's.
  package static func textWidth(_ text: String, fontSize: Double) -> Double {
    Double(text.count) * fontSize * 0.6
  }

  /// Top left of each name, beside its point, nil where no side has room; earlier names come first.
  package func places(of names: [Figure.PointName], on panel: Figure.Panel, in box: Box) -> [(x: Double, y: Double)?] {
    let centres = names.map { position($0.x, $0.y, panel, box) }
    var taken = centres.map { Box(left: $0.x - 6, top: $0.y - 6, right: $0.x + 6, bottom: $0.y + 6) }
    taken += lines(of: panel).map { from, to in
      let (a, b) = (position(from.x, from.y, panel, box), position(to.x, to.y, panel, box))
      return Box(left: min(a.x, b.x) - 1, top: min(a.y, b.y) - 1, right: max(a.x, b.x) + 1, bottom: max(a.y, b.y) + 1)
    }
    return zip(names, centres).map { name, centre in
      let (length, height) = (Self.textWidth(name.name, fontSize: fontSize), fontSize + 2)
      let sides = [
        (centre.x + 10, centre.y - height / 2), (centre.x - 10 - length, centre.y - height / 2),
        (centre.x - length / 2, centre.y - 9 - height), (centre.x - length / 2, centre.y + 9),
        (centre.x + 8, centre.y - 6 - height), (centre.x + 8, centre.y + 6),
        (centre.x - 8 - length, centre.y - 6 - height), (centre.x - 8 - length, centre.y + 6),
      ]
      for (x, y) in sides {
        let place = Box(left: x, top: y, right: x + length, bottom: y + height)
        let fits = x >= box.left + 2 && place.right <= width - 2 && y >= box.top && place.bottom <= box.bottom
        if fits && !taken.contains(where: place.intersects) {
          taken.append(place)
          return (x, y)
        }
      }
      return nil
    }
  }

  /// Level and upright lines that a name must not cross: error bars, steps of the front, marks of dense.
  private func lines(of panel: Figure.Panel) -> [(from: (x: Double, y: Double), to: (x: Double, y: Double))] {
    var lines = panel.references.filter { $0.from.x == $0.to.x || $0.from.y == $0.to.y }.map { ($0.from, $0.to) }
    for series in panel.series {
      if series.kind == .errorBars { lines += series.points.map { (($0.x, $0.low), ($0.x, $0.high)) } }
      if series.kind == .front {
        for (a, b) in zip(series.points, series.points.dropFirst()) {
          lines += [((a.x, a.y), (b.x, a.y)), ((b.x, a.y), (b.x, b.y))]
        }
      }
    }
    return lines
  }

  private func position(_ x: Double, _ y: Double, _ panel: Figure.Panel, _ box: Box) -> (x: Double, y: Double) {
    (
      box.left + panel.x.fraction(x) * (box.right - box.left),
      box.bottom - panel.y.fraction(y) * (box.bottom - box.top)
    )
  }
}
