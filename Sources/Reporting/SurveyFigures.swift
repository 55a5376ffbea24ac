import Arrays
import Foundation

/// The figures of a survey, and their renderings.
package struct SurveyFigures: Sendable {
  package let figures: [Figure]

  /// One figure as the page embeds it (SVG, for each width and background) and as a file for print (PNG).
  package struct Rendering: Sendable {
    package var light: Data
    package var dark: Data
    package var narrowLight: Data
    package var narrowDark: Data
    package var png: Data
  }

  package init(_ findings: Findings) {
    let styles = Self.styles(findings)
    let curves = CurveFigures(findings: findings, styles: styles)
    let outcomes = OutcomeFigures(findings: findings, styles: styles)
    let speedups = SpeedupFigures(findings: findings, styles: styles)
    figures =
      [outcomes.againstTime, curves.againstTime, curves.againstSteps, outcomes.againstParameters].compactMap { $0 }
      + speedups.figures
  }

  /// Dense in ink, the trained structures in the survey's order, then those that were only timed.
  private static func styles(_ findings: Findings) -> [String: SeriesStyle] {
    var styles: [String: SeriesStyle] = [:]
    var next = 0
    let timed = findings.recorded.bench.map(\.structure)
      .filter { label in !findings.structures.contains { $0.label == label } }
    for name in findings.structures.map(\.name) + timed where styles[name] == nil {
      if name == "dense" {
        styles[name] = .dense
      } else {
        styles[name] = SeriesStyle(index: next)
        next += 1
      }
    }
    return styles
  }

  package static func render(_ figure: Figure, with tool: FigureTool, folder: URL) throws -> Rendering {
    func path(_ name: String) -> URL { folder.appendingPathComponent(name) }
    func script(
      _ width: FigureCanvas.Width, _ palette: FigurePalette, _ terminal: FigureScript.Terminal, _ name: String
    ) -> String {
      FigureScript(figure, width: width, palette: palette, terminal: terminal, output: name).text
    }
    let text = [
      script(.wide, .light, .svg, "light.svg"), script(.wide, .dark, .svg, "dark.svg"),
      script(.narrow, .light, .svg, "narrow-light.svg"), script(.narrow, .dark, .svg, "narrow-dark.svg"),
      script(.wide, .light, .png, "light.png"),
    ].joined(separator: "reset session\n")
    try tool.run(text, folder: folder)
    func data(_ name: String) throws -> Data {
      guard let data = try? Data(contentsOf: path(name)), !data.isEmpty else {
        throw Refusal.failed(
          "\(tool.executable.path) drew nothing for the figure \(figure.name); run the report again")
      }
      return data
    }
    return Rendering(
      light: try data("light.svg"), dark: try data("dark.svg"), narrowLight: try data("narrow-light.svg"),
      narrowDark: try data("narrow-dark.svg"), png: try data("light.png"))
  }
}
