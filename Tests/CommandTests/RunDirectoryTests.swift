import Foundation
import Testing

/// Damage to one file of a checkpoint.
struct Damage: Sendable, CustomTestStringConvertible {
  enum Kind: Sendable { case cut(Double), flip(Double), removed }

  let file: String
  let kind: Kind

  var testDescription: String { "\(file) \(kind)" }

  /// Where it lies in the run that `Tiny.finished` makes.
  var path: String { "run/checkpoints/000040/\(file)" }

  func apply(to place: Workplace) throws {
    var bytes = try place.bytes(path)
    switch kind {
    case .cut(let fraction): bytes = Array(bytes[..<Int(fraction * Double(bytes.count - 1))])
    case .flip(let fraction): bytes[Int(fraction * Double(bytes.count - 1))] ^= 0x10
    case .removed: return try FileManager.default.removeItem(at: place[path])
    }
    try place.write(bytes, to: path)
  }

  /// Cut to nothing, within the header, in the middle, by one byte; flipped from the first byte to the last.
  static let all: [Damage] = ["model.safetensors", "optimizer.safetensors", "state.json"].flatMap { file in
    let kinds: [Kind] =
      [0, 0.001, 0.5, 1].map { .cut($0) } + [0, 0.01, 0.37, 0.6, 1].map { .flip($0) } + [.removed]
    return kinds.map { Damage(file: file, kind: $0) }
  }
}

@Suite struct RunDirectoryTests {
  /// Refused with these words, and every file as it was.
  private func expectUntouched(_ place: Workplace, _ arguments: [String], _ word: String) throws {
    let before = try place.contents()
    expectRefusal(try place.run(arguments), word)
    #expect(try place.contents() == before)
  }

  @Test("A damaged checkpoint is refused by the file's name, and nothing is lost", arguments: Damage.all)
  func refusesDamage(_ damage: Damage) throws {
    let place = try Tiny.copyOfFinished()
    try FileManager.default.removeItem(at: place["run/DONE"])
    try damage.apply(to: place)
    try expectUntouched(place, Tiny.train(["--resume"]), damage.path)
  }

  @Test("Without its newest checkpoint a run goes on from the one before, to the same bytes")
  func resumesFromOlder() throws {
    let place = try Tiny.copyOfFinished(), weights = "run/checkpoints/000040/model.safetensors"
    let last = try place.bytes(weights)
    for path in ["run/DONE", "run/checkpoints/000040"] { try FileManager.default.removeItem(at: place[path]) }
    #expect(try place.run(Tiny.train(["--resume"])).status == 0)
    #expect(try place.bytes(weights) == last)
  }

  @Test("A finished run stays as it is, whatever is asked again")
  func leavesFinishedRun() throws {
    let place = try Tiny.copyOfFinished(), before = try place.contents()
    #expect(try place.run(Tiny.train(["--resume"])).status == 0)
    #expect(try place.contents() == before)
    try expectUntouched(place, Tiny.train(), "--resume")
  }

  @Test("A finished run whose last model is not whole is refused by the file's name, with what to remove")
  func refusesDamagedEnd() throws {
    let damages = Damage.all.filter { $0.file == "model.safetensors" }
    for damage in damages {
      let place = try Tiny.copyOfFinished()
      try damage.apply(to: place)
      try expectUntouched(place, Tiny.train(["--resume"]), damage.path)
    }
    let place = try Tiny.copyOfFinished(), weights = "run/checkpoints/000040/model.safetensors"
    let last = try place.bytes(weights)
    try FileManager.default.removeItem(at: place["run/checkpoints/000040"])
    try expectUntouched(place, Tiny.train(["--resume"]), "no model of step 40")
    // What differs comes before what is damaged.
    try expectUntouched(place, Tiny.train(steps: 50, ["--resume"]), "differ in steps")
    // What the refusal advises.
    try FileManager.default.removeItem(at: place["run/DONE"])
    #expect(try place.run(Tiny.train(["--resume"])).status == 0)
    #expect(try place.bytes(weights) == last)
  }

  @Test(
    "A run of another configuration is refused by the name of what differs",
    arguments: [
      (["--learning-rate", "0.5"], "learningRate"), (["--seed", "2"], "seed"), (["--batch", "3"], "batch"),
      (["--layers", "2"], "layers"), (["--structure", "csr", "--density", "0.5"], "density"),
      (["--validation", "other.txt"], "data"),
    ])
  func refusesOther(_ difference: [String], _ word: String) throws {
    let place = try Tiny.copyOfFinished()
    try place.write(Text.english.reversed(), to: "other.txt")
    try expectUntouched(place, Tiny.train(["--resume"] + difference), word)
  }

  @Test("A text that changed under its name is refused")
  func refusesChangedText() throws {
    let place = try Tiny.copyOfFinished()
    try place.write(Text.english.dropLast() + [0x21], to: "text.txt")
    try expectUntouched(place, Tiny.train(["--resume"]), "dataChecksum")
  }

  @Test(
    "A run.json that is no record is refused",
    arguments: ["", "{", "[]", "null", "{\"schema\": \"filigree.run/1\"}", "\u{0}", "{\"schema\": 1e999}"])
  func refusesCorruptRecord(_ text: String) throws {
    let place = try Tiny.copyOfFinished()
    try place.write(Array(text.utf8), to: "run/run.json")
    try expectUntouched(place, Tiny.train(["--resume"]), "run.json")
  }

  @Test("A record of another schema is refused")
  func refusesOtherSchema() throws {
    let place = try Tiny.copyOfFinished()
    let text = String(decoding: try place.bytes("run/run.json"), as: UTF8.self)
    try place.write(
      Array(text.replacingOccurrences(of: "filigree.run/1", with: "filigree.run/9").utf8), to: "run/run.json")
    try expectUntouched(place, Tiny.train(["--resume"]), "filigree.run/9")
  }

  @Test("What is left of a run without its run.json is not taken for this run", arguments: [true, false])
  func refusesRemains(done: Bool) throws {
    let place = try Tiny.copyOfFinished()
    try FileManager.default.removeItem(at: place["run/run.json"])
    if !done { try FileManager.default.removeItem(at: place["run/DONE"]) }
    try expectUntouched(place, Tiny.train(), "run.json")
  }

  @Test("Metrics with a broken line are refused by the line's number")
  func refusesBrokenMetrics() throws {
    let place = try Tiny.copyOfFinished()
    try FileManager.default.removeItem(at: place["run/DONE"])
    let metrics = try place.bytes("run/metrics.jsonl"), middle = metrics.firstIndex(of: 10) ?? 0
    try place.write(metrics[...middle] + Array("{\"step\": tw".utf8) + metrics[middle...], to: "run/metrics.jsonl")
    try expectUntouched(place, Tiny.train(["--resume"]), "line 2")
  }

  @Test("A second process on a run is refused, and the first does not notice")
  func refusesSecondProcess() throws {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    let first = try Program(in: place.url).start(Tiny.train(steps: 200_000, every: 1000))
    place.wait(for: "run/metrics.jsonl", beyond: 1000, or: first)
    expectRefusal(try place.run(Tiny.train(steps: 200_000, every: 1000, ["--resume"])), "another process")
    first.send(SIGTERM)
    #expect(try first.wait().status == 130)
  }

  @Test("Names may have spaces, quotes, line ends and any script")
  func takesAnyName() throws {
    let place = try Workplace(), name = "a \"b\" 'c' $(d)\n<e>&f;é漢"
    try place.write(Text.english, to: "text.txt")
    #expect(try place.run(Tiny.train(steps: 2, to: name)).status == 0)
    #expect(place.exists("\(name)/DONE"))
    expectRefusal(try place.run(Tiny.train(steps: 2, to: name)), "--resume")
  }
}
