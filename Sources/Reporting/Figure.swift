import Foundation

/// A figure as data: what is drawn, in which units, and the words that go with it. ``FigureScript`` turns it into gnuplot.
package struct Figure: Sendable {
  /// File name without extension.
  package var name: String
  package var title: String
  /// HTML-free text: what is shown, with units.
  package var caption: String
  /// For readers who cannot see the figure.
  package var alternative: String
  /// Small multiples; the first one's y axis serves all.
  package var panels: [Panel]
  package var legend: [LegendEntry]
  package var table: FigureTable

  package struct Panel: Sendable {
    package var title: String?
    package var x: FigureAxis
    package var y: FigureAxis
    package var series: [Series] = []
    package var references: [Reference] = []
    package var names: [PointName] = []
  }

  package struct Series: Sendable {
    package enum Kind: Sendable { case line, faintLine, points, linePoints, errorBars, front }

    package var style: SeriesStyle
    package var kind: Kind
    package var points: [Point]
  }

  package struct Point: Sendable {
    package var x: Double
    package var y: Double
    /// Ends of the error bar.
    package var low: Double
    package var high: Double

    package init(_ x: Double, _ y: Double, low: Double? = nil, high: Double? = nil) {
      self.x = x
      self.y = y
      self.low = low ?? y
      self.high = high ?? y
    }
  }

  /// A thin labelled line that is no series: an entropy, break-even, the ideal.
  package struct Reference: Sendable {
    package var label: String
    package var from: (x: Double, y: Double)
    package var to: (x: Double, y: Double)
    package var place = Place.right

    /// Where the label stands: above the line at its right or left end, or beside a falling line near its start.
    package enum Place: Sendable { case right, left, beside }
  }

  /// The name of a point, to be written beside it, or at the end of a line from it where there is no room beside.
  package struct PointName: Sendable {
    package var name: String
    package var style: SeriesStyle
    package var x: Double
    package var y: Double
  }

  package struct LegendEntry: Sendable {
    package var name: String
    package var style: SeriesStyle
    package var hasLine: Bool
    package var hasPoint: Bool
  }
}

/// The plotted numbers, as `report/<figure>.csv` holds them (RFC 4180).
package struct FigureTable: Sendable {
  package var columns: [String]
  package var rows: [[String]] = []

  package var text: String {
    ([columns] + rows).map { $0.map(Self.quoted).joined(separator: ",") + "\r\n" }.joined()
  }

  private static func quoted(_ field: String) -> String {
    guard field.unicodeScalars.contains(where: { ",\"\r\n".unicodeScalars.contains($0) }) else { return field }
    return "\"" + field.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }
}
