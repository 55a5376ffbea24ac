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

  /// Where a name stands, and the line that leads to it where that is not beside its point.
  package struct NamePlace: Sendable {
    package var box: Box
    package var leader: (from: (x: Double, y: Double), to: (x: Double, y: Double))?
  }

  /// How far from its point a name may stand, and how many directions are tried at each distance.
  private static let reaches = [20.0, 32, 46, 62, 80, 100, 122, 146]
  private static let directions = 32

  /// First every name that has room beside its point, earlier ones before later ones; then the others, at the end of a
  /// line from their point. Nil where there is no room in reach either.
  package func places(of names: [Figure.PointName], on panel: Figure.Panel, in box: Box) -> [NamePlace?] {
    let centres = names.map { position($0.x, $0.y, panel, box) }
    let points = centres.map { Box(left: $0.x - 6, top: $0.y - 6, right: $0.x + 6, bottom: $0.y + 6) }
    var taken = points
    taken += lines(of: panel).map { from, to in
      let (a, b) = (position(from.x, from.y, panel, box), position(to.x, to.y, panel, box))
      return Box(left: min(a.x, b.x) - 1, top: min(a.y, b.y) - 1, right: max(a.x, b.x) + 1, bottom: max(a.y, b.y) + 1)
    }
    func isFree(_ place: Box) -> Bool {
      place.left >= box.left + 2 && place.right <= width - 2 && place.top >= box.top && place.bottom <= box.bottom
        && !taken.contains(where: place.intersects)
    }
    let sizes = names.map { (length: Self.textWidth($0.name, fontSize: fontSize), height: fontSize + 2) }
    var places = zip(sizes, centres).map { size, centre -> NamePlace? in
      guard let place = Self.beside(centre, size).first(where: isFree) else { return nil }
      taken.append(place)
      return NamePlace(box: place)
    }
    for index in names.indices where places[index] == nil {
      // A line may cross a mark or a front, but no point and no name.
      let obstacles = points.indices.filter { $0 != index }.map { points[$0] } + places.compactMap { $0?.box }
      let found = Self.apart(centres[index], sizes[index]).first { place in
        isFree(place.box) && !Self.steps(along: place).contains { obstacles.contains(where: $0.intersects) }
      }
      guard let found else { continue }
      places[index] = found
      taken += [found.box] + Self.steps(along: found)
    }
    return places
  }

  private static func beside(_ centre: (x: Double, y: Double), _ size: (length: Double, height: Double)) -> [Box] {
    let (length, height) = size
    return [
      (centre.x + 10, centre.y - height / 2), (centre.x - 10 - length, centre.y - height / 2),
      (centre.x - length / 2, centre.y - 9 - height), (centre.x - length / 2, centre.y + 9),
      (centre.x + 8, centre.y - 6 - height), (centre.x + 8, centre.y + 6),
      (centre.x - 8 - length, centre.y - 6 - height), (centre.x - 8 - length, centre.y + 6),
    ].map { Box(left: $0.0, top: $0.1, right: $0.0 + length, bottom: $0.1 + height) }
  }

  /// Nearer ones first; a name lies outwards from the end of its line.
  private static func apart(
    _ centre: (x: Double, y: Double), _ size: (length: Double, height: Double)
  ) -> [NamePlace] {
    reaches.flatMap { reach in
      (0..<directions).map { direction in
        let angle = 2 * Double.pi * Double(direction) / Double(directions)
        let (across, up) = (cos(angle), sin(angle))
        let from = (x: centre.x + 7 * across, y: centre.y - 7 * up)
        let to = (x: centre.x + reach * across, y: centre.y - reach * up)
        let left = abs(across) < 0.3 ? to.x - size.length / 2 : across > 0 ? to.x + 3 : to.x - 3 - size.length
        let top = abs(across) >= 0.3 ? to.y - size.height / 2 : up > 0 ? to.y - size.height : to.y
        let box = Box(left: left, top: top, right: left + size.length, bottom: top + size.height)
        return NamePlace(box: box, leader: (from, to))
      }
    }
  }

  /// Small boxes that cover a name's line.
  private static func steps(along place: NamePlace) -> [Box] {
    guard let (from, to) = place.leader else { return [] }
    let count = max(1, Int((hypot(to.x - from.x, to.y - from.y) / 2).rounded(.up)))
    return (0..<count).map { step in
      let share = Double(step) / Double(count)
      let (x, y) = (from.x + share * (to.x - from.x), from.y + share * (to.y - from.y))
      return Box(left: x - 1, top: y - 1, right: x + 1, bottom: y + 1)
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
