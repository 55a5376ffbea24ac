import Testing

@testable import Reporting

/// Names beside the points of a figure.
@Suite struct NamePlaceTests {
  /// With thin lines through the point named dense, as in the figures of outcomes.
  private static func figure(_ points: [(name: String, x: Double, y: Double)]) -> Figure {
    var panel = Figure.Panel(
      x: FigureAxis("x", over: points.map(\.x) + [1], margin: 0.12),
      y: FigureAxis("y", over: points.map(\.y), margin: 0.12))
    panel.names = points.map { Figure.PointName(name: $0.name, style: .dense, x: $0.x, y: $0.y) }
    for (name, x, y) in points where name == "dense" {
      panel.references.append(Figure.Reference(label: "", from: (panel.x.low, y), to: (panel.x.high, y)))
      panel.references.append(Figure.Reference(label: "", from: (x, panel.y.low), to: (x, panel.y.high)))
    }
    return Figure(
      name: "f", title: "", caption: "", alternative: "", panels: [panel], legend: [],
      table: FigureTable(columns: [], rows: []))
  }

  /// Step times and losses of a standard survey, some of which leave no room beside each other.
  private static let crowd: [(name: String, x: Double, y: Double)] = [
    ("dense", 1.0000, 1.8637), ("narrow", 0.5533, 1.9187), ("masked", 1.0550, 1.8524), ("csr", 0.8808, 1.8423),
    ("fanin", 0.8667, 1.8461), ("nm-1:4", 0.8636, 1.8771), ("nm-1:4t", 0.8519, 1.8675), ("nm-2:8", 0.8424, 1.8111),
    ("nm-2:8t", 0.8474, 1.8413), ("vnm-32:2:8", 0.8508, 1.8390), ("bsr-16", 0.6658, 1.8667),
    ("bsr-32", 0.6206, 1.8428), ("bsr-64", 0.6228, 1.8702), ("blockdiagonal-4", 0.6242, 1.8553),
    ("dyad-8", 0.7067, 1.8660), ("monarch-6", 0.6166, 1.9169), ("pixelfly-16", 0.7372, 1.9056),
    ("pixelfly-32", 0.6972, 1.9407), ("lowrank-38", 0.6645, 1.9214), ("blockdense-2", 0.6416, 1.9025),
    ("blockdense-4", 0.6436, 1.9297), ("blockdense-8", 0.6382, 1.8982), ("btt-2", 0.9015, 1.8588),
    ("lowrank+bsr-16", 0.7923, 1.8621), ("lowrank+bsr-32", 0.7064, 1.8905), ("lowrank+csr", 0.8727, 1.8680),
    ("diagonal-192", 0.8575, 1.8705), ("banded-48", 0.7658, 1.8587), ("circulant-4", 1.0745, 1.8843),
    ("blr-37", 0.7278, 1.8905),
  ]

  @Test("Of a crowd every name stands somewhere: in the panel, on no point and no other name, led to where it is apart")
  func crowded() throws {
    let figure = Self.figure(Self.crowd), canvas = FigureCanvas(for: figure, .wide), panel = figure.panels[0]
    let box = canvas.panels[0]
    let found = canvas.places(of: panel.names, on: panel, in: box)
    let places = try found.map { try #require($0) }
    let centres = panel.names.map { name in
      (
        x: box.left + panel.x.fraction(name.x) * (box.right - box.left),
        y: box.bottom - panel.y.fraction(name.y) * (box.bottom - box.top)
      )
    }
    #expect(places.contains { $0.leader == nil } && places.contains { $0.leader != nil })
    for (index, place) in places.enumerated() {
      #expect(place.box.left >= box.left && place.box.right <= canvas.width)
      #expect(place.box.top >= box.top && place.box.bottom <= box.bottom)
      for other in places[..<index] { #expect(!place.box.intersects(other.box)) }
      for (x, y) in centres { #expect(!place.box.contains(x, y)) }
      let centre = centres[index]
      guard let (from, to) = place.leader else {
        // Beside: the box around it, widened by the room for the point, has the point.
        let near = FigureCanvas.Box(
          left: place.box.left - 11, top: place.box.top - 11, right: place.box.right + 11, bottom: place.box.bottom + 11
        )
        #expect(near.contains(centre.x, centre.y))
        continue
      }
      // From the own point to the name, past every other point and name.
      #expect(abs(from.x - centre.x) <= 7.01 && abs(from.y - centre.y) <= 7.01)
      let end = FigureCanvas.Box(
        left: place.box.left - 4, top: place.box.top - 1, right: place.box.right + 4, bottom: place.box.bottom + 1)
      #expect(end.contains(to.x, to.y))
      for step in 0...20 {
        let (x, y) = (from.x + (to.x - from.x) * Double(step) / 20, from.y + (to.y - from.y) * Double(step) / 20)
        for (other, place) in places.enumerated() where other != index { #expect(!place.box.contains(x, y)) }
        for (other, centre) in centres.enumerated() where other != index {
          #expect(abs(x - centre.x) > 2 || abs(y - centre.y) > 2)
        }
      }
    }
  }

  @Test("A name with room beside its point has no line, and the line of another is in the script")
  func leaders() throws {
    let lonely = Self.figure([("alone", 0.5, 0.5)])
    let place = FigureCanvas(for: lonely, .wide).places(
      of: lonely.panels[0].names, on: lonely.panels[0], in: FigureCanvas(for: lonely, .wide).panels[0])[0]
    #expect(place != nil && place?.leader == nil)
    func script(_ figure: Figure) -> String {
      FigureScript(figure, width: .wide, palette: .light, terminal: .svg, output: "f.svg").text
    }
    #expect(!script(lonely).contains("nohead front"))
    let crowded = script(Self.figure(Self.crowd))
    #expect(crowded.contains("nohead front"))
    for (name, _, _) in Self.crowd { #expect(crowded.contains("'\(name)'")) }
  }
}

extension FigureCanvas.Box {
  fileprivate func contains(_ x: Double, _ y: Double) -> Bool { left < x && x < right && top < y && y < bottom }
}
