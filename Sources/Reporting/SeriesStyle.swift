/// How a series looks: dense in ink, the others by hue, then dash, with a point shape that never repeats with its hue.
///
/// The hues are those of Okabe and Ito (2008), told apart with every common colour vision, moved in lightness until each
/// stands out from its background.
package struct SeriesStyle: Sendable, Equatable {
  /// Nil is dense.
  package let index: Int?

  package static let dense = SeriesStyle(index: nil)

  package init(index: Int?) {
    self.index = index
  }

  package func colour(in palette: FigurePalette) -> String {
    guard let index else { return palette.ink }
    return palette.hues[index % palette.hues.count]
  }

  /// gnuplot's dash pattern.
  package var dash: String {
    guard let index else { return "1" }
    return ["1", "(12,5)", "(3,4)", "(14,4,3,4)"][index / 7 % 4]
  }

  /// gnuplot's point type: filled shapes first, then open ones.
  package var pointType: Int {
    guard let index else { return 7 }
    return [5, 9, 13, 11, 15, 4, 8, 12, 10, 14, 6][index % 11]
  }

  package var lineWidth: Double { index == nil ? 2.4 : 1.6 }
}

/// Colours of a figure on one background.
package struct FigurePalette: Sendable {
  package let ink: String
  package let muted: String
  package let rule: String
  package let hues: [String]

  package static let light = FigurePalette(
    ink: "#1c1b19", muted: "#6a665f", rule: "#e2ded6",
    hues: ["#0072b2", "#d55e00", "#008f68", "#b5558a", "#c08a00", "#2f9bd8", "#7a6f00"])
  package static let dark = FigurePalette(
    ink: "#f2efe9", muted: "#a5a098", rule: "#35363a",
    hues: ["#5aa9e6", "#ff8a4c", "#2fc295", "#e597c4", "#edb12f", "#a4dcff", "#efe35a"])
}
