import Foundation
import Records
import Testing

@Suite struct SurveyTests {
  private static let structures = ["dense", "csr", "bsr-32"]

  private static func survey(_ more: [String] = []) -> [String] {
    [
      "survey", "--quiet", "--structures", structures.joined(separator: ","), "--densities", "0.25", "--shapes",
      "512x512", "--tokens", "1", "--steps", "3", "--data", "text.txt", "--out", "survey",
    ] + more
  }

  private static let runs = ["bsr-32-d0.25-s1", "csr-d0.25-s1", "dense-d1-s1", "dense-d1-s2", "narrow-d0.25-s1"]

  @Test("A survey that is interrupted twice reports all it set out to do; asked again it measures nothing anew")
  func endToEnd() throws {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    let timing = try Program(in: place.url).start(Self.survey())
    place.wait(for: "survey/bench.jsonl", beyond: 2000, or: timing)
    timing.send(SIGINT)
    #expect(try timing.wait().status == 130)
    #expect(!place.exists("survey/report"))
    let half = try place.bytes("survey/bench.jsonl")
    #expect(half.last == 10)

    try refusesOther(place)
    try reportsHalf(place)

    let training = try Program(in: place.url).start(Self.survey())
    place.wait(for: "survey/runs/dense-d1-s2/metrics.jsonl", beyond: 0, or: training)
    training.send(SIGINT)
    #expect(try training.wait().status == 130)
    #expect(try place.bytes("survey/bench.jsonl").starts(with: half))

    let end = try place.run(Self.survey())
    #expect(end.status == 0, "\(end.errors)")
    #expect(end.output.hasPrefix("report: ") && end.output.hasSuffix("survey/report/index.html\n"))
    try holdsEverything(place)

    let before = try place.contents()
    #expect(try place.run(Self.survey()).status == 0)
    let after = try place.contents()
    #expect(Set(before.keys) == Set(after.keys))
    #expect(before.keys.filter { before[$0] != after[$0] && !$0.hasPrefix("survey/report/") } == [])
  }

  @Test("A survey of sub-word tokens: every run holds the tokenizer, so that it can be evaluated")
  func tokenizer() throws {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    let learned = try place.run([
      "tokenize", "train", "--vocabulary", "270", "--data", "text.txt", "--out", "tokens.json", "--quiet",
    ])
    #expect(learned.status == 0, "\(learned.errors)")
    let ending = try place.run([
      "survey", "--quiet", "--structures", "dense", "--shapes", "64x64", "--tokens", "1", "--steps", "2", "--data",
      "text.txt", "--tokenizer", "tokens.json", "--out", "survey",
    ])
    #expect(ending.status == 0, "\(ending.errors)")
    let corpus = try JSONDecoder().decode(
      SurveyRecord.self, from: Data(contentsOf: place["survey/survey.json"])
    ).corpus
    #expect(corpus.tokenizer?.hasPrefix("bpe-270-") == true && corpus.bytesPerToken.map { $0 > 1 } == true)
    let run = "survey/runs/dense-d1-s1"
    #expect(try place.bytes("\(run)/tokenizer.json") == place.bytes("tokens.json"))
    let evaluated = try JSON(
      try place.run(["evaluate", run, "--data", "text.txt", "--json", "--quiet"]).output)
    #expect(try evaluated["tokens"].int < 20_000)
  }

  @Test("A usual structure that a shape has not is left out with a remark, and one that was named is refused")
  func leavesOut() throws {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    let arguments = [
      "survey", "--shapes", "64x64", "--tokens", "1", "--steps", "1", "--data", "text.txt", "--densities", "0.25",
      "--out",
    ]
    // All is decided when the survey's record is there.
    let running = try Program(in: place.url).start(arguments + ["survey"])
    place.wait(for: "survey/survey.json", beyond: 0, or: running)
    running.send(SIGINT)
    let ending = try running.wait()
    #expect(ending.status == 130, "\(ending.errors)")
    #expect(
      ending.errors.contains(
        "filigree: not timed at 64x64, density 0.25: pixelfly-16 has no member of shape 64x64: density 0.25 is below"),
      "\(ending.errors)")
    let survey = try JSONDecoder().decode(SurveyRecord.self, from: Data(try place.bytes("survey/survey.json")))
    #expect(survey.shapes.first == "64x64")
    // The model's matrices are larger, and have it.
    #expect(survey.runs.contains { $0.structure == "pixelfly-16" })
    expectRefusal(
      try place.run(arguments + ["other", "--structures", "pixelfly-16"]), "pixelfly-16 has no member of shape 64x64")
    #expect(!place.exists("other"))
  }

  private func refusesOther(_ place: Workplace) throws {
    let before = try place.contents()
    for more in [["--steps", "4"], ["--seed", "2"], ["--densities", "0.5"], ["--model", "mistral-4m"]] {
      expectRefusal(try place.run(Self.survey(more)), "another configuration")
    }
    #expect(try place.contents() == before)
  }

  private func reportsHalf(_ place: Workplace) throws {
    let ending = try place.run(["report", "survey", "--json", "--quiet"])
    #expect(ending.status == 0, "\(ending.errors)")
    #expect(try JSON(ending.output).keys.isEmpty == false)
    #expect(place.exists("survey/report/index.html"))
  }

  /// Three passes of each structure at each density, shape and number of tokens, once; five finished runs; a page.
  private func holdsEverything(_ place: Workplace) throws {
    let records = try place.bytes("survey/bench.jsonl").split(separator: 10).map {
      try JSONDecoder().decode(BenchRecord.self, from: Data($0))
    }
    #expect(records.allSatisfy { $0.verified && $0.schema == "filigree.bench/1" })
    let keys = records.map { "\($0.structure) \($0.outputs)x\($0.inputs) \($0.tokens) \($0.density) \($0.pass)" }
    #expect(Set(keys).count == keys.count)
    for structure in Self.structures {
      #expect(Set(records.filter { $0.structure == structure }.map(\.pass)).count == 3)
      #expect(Set(records.filter { $0.structure == structure }.map(\.outputs)) == [512, 128])
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: place["survey/runs"].path).sorted() == Self.runs)
    for run in Self.runs { #expect(place.exists("survey/runs/\(run)/DONE")) }
    let survey = try JSON(String(decoding: try place.bytes("survey/survey.json"), as: UTF8.self))
    #expect(try survey["runs"].items.map { try $0["directory"].string }.sorted() == Self.runs)

    let page = String(decoding: try place.bytes("survey/report/index.html"), as: UTF8.self)
    #expect(page.hasPrefix("<!DOCTYPE html>"))
    #expect(page.hasSuffix("</html>\n"))
    #expect(!page.contains("src=\"http") && !page.contains("href=\"http") && !page.contains("@import"))
    for element in ["html", "head", "body", "table", "section", "figure"] {
      #expect(
        page.components(separatedBy: "<\(element)").filter { $0.first.map { " >".contains($0) } == true }.count
          == page.components(separatedBy: "</\(element)>").count - 1, "<\(element)>")
    }
    let summary = try JSON(String(decoding: try place.bytes("survey/report/summary.json"), as: UTF8.self))
    let text = String(decoding: try place.bytes("survey/report/summary.json"), as: UTF8.self)
    #expect(try !summary.keys.isEmpty)
    for structure in Self.structures { #expect(text.contains("\"\(structure)\"")) }
  }

  @Test("A survey without its parts is refused by the part's name")
  func refusesBrokenSurvey() throws {
    let place = try Workplace()
    try FileManager.default.createDirectory(at: place["survey"], withIntermediateDirectories: true)
    for text in ["", "{", "[]", "{\"schema\": \"filigree.survey/1\"}"] {
      try place.write(Array(text.utf8), to: "survey/survey.json")
      expectRefusal(try place.run(["report", "survey", "--quiet"]), "survey.json")
      #expect(!place.exists("survey/report"))
    }
  }
}
