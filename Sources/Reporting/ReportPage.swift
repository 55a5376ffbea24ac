import Foundation

/// `report/index.html`: one file, no network, no script.
struct ReportPage {
  let findings: Findings
  let summary: SummaryRecord
  let figures: [(figure: Figure, rendering: SurveyFigures.Rendering?)]
  /// Why figures are missing, as a sentence; nil when they are all there.
  let figureNote: String?

  var html: String {
    let survey = findings.recorded.survey
    let title = "Which sparse structures pay? \(survey.modelPreset) on \(survey.machine.processor)"
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <title>\(Markup.escaped(title))</title>
      <style>
      \(Stylesheet.text)
      </style>
      </head>
      <body>
      <main>
      <header>
      <h1>Which sparse structures pay?</h1>
      <p class="byline">\(Markup.escaped("A survey\(findings.equality == .steps ? "" : " \(findings.equality.phrase)") of the MLP of \(survey.modelPreset) on \(survey.machine.processor), \(survey.time.prefix(10)), commit \(survey.commit.prefix(12))"))</p>
      </header>
      \(Markup.paragraph(summary.answer, class: "answer"))\(early)\(missing)\(BenchTable(findings: findings).alarm)<h2>Verdicts</h2>
      \(VerdictTable(findings: findings, summary: summary).html)<h2>Equal what?</h2>
      \(FairnessTable(findings: findings, summary: summary).html)<h2>Figures</h2>
      \(figureNote.map { "<div class=\"note\">\(Markup.paragraph($0))</div>\n" } ?? "")\(figures.map(embedded).joined())<h2>Every timed product</h2>
      \(BenchTable(findings: findings).html)\(SettingSection(findings: findings).html)</main>
      </body>
      </html>

      """
  }

  private var early: String {
    guard let ratio = findings.tokensPerParameter, ratio < 20 else { return "" }
    return Markup.paragraph(
      "Early curve: dense saw \(Numerals.significant(ratio, 2)) tokens per parameter, fewer than 20, so longer training may change the order.",
      class: "quiet")
  }

  private var missing: String {
    guard !summary.missing.isEmpty else { return "" }
    return "<div class=\"note\">\n<p>This survey is incomplete.</p>\n\(Markup.list(summary.missing))</div>\n"
  }

  private func embedded(_ figure: Figure, _ rendering: SurveyFigures.Rendering?) -> String {
    guard let rendering else {
      return ""
    }
    func source(_ svg: Data) -> String { "data:image/svg+xml;base64,\(svg.base64EncodedString())" }
    return """
      <figure id="\(figure.name)">
      <h3>\(Markup.escaped(figure.title))</h3>
      <picture>
      <source media="(max-width: 35rem) and (prefers-color-scheme: dark)" srcset="\(source(rendering.narrowDark))">
      <source media="(max-width: 35rem)" srcset="\(source(rendering.narrowLight))">
      <source media="(prefers-color-scheme: dark)" srcset="\(source(rendering.dark))">
      <img alt="\(Markup.escaped(figure.alternative))" src="\(source(rendering.light))">
      </picture>
      <figcaption>\(Markup.escaped(figure.caption)) <a href="\(figure.name).svg">SVG</a>, <a href="\(figure.name).png">PNG</a>, <a href="\(figure.name).csv">CSV</a>.</figcaption>
      </figure>

      """
  }
}
