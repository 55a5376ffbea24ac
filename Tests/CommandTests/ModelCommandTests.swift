import Foundation
import Testing

/// What is done with a run after it was trained, and with tokens before.
@Suite struct ModelCommandTests {
  private func ran(_ place: Workplace, _ arguments: [String], _ location: SourceLocation = #_sourceLocation) throws
    -> String
  {
    let ending = try place.run(arguments)
    #expect(ending.status == 0, "\(ending.errors)", sourceLocation: location)
    return ending.output
  }

  private func sparse() throws -> Workplace {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    _ = try ran(place, Tiny.train(["--structure", "bsr-8", "--density", "0.5"]))
    return place
  }

  private func score(_ place: Workplace, _ model: String) throws -> JSON {
    try JSON(try ran(place, ["score", model, "--tokens", "116,104,101,32,108,111", "--json", "--quiet"]))
  }

  @Test("A run is scored, evaluated and generated from, and says so in JSON")
  func run() throws {
    let place = try Tiny.copyOfFinished()
    let score = try score(place, "run")
    let nll = try score["nll"].items.map { try $0.number }
    #expect(nll.count == 5 && nll.allSatisfy { $0 > 0 })
    // Single precision is written as the shortest decimals that tell it from its neighbours, hence the way by Float.
    let mean = nll.reduce(0) { $0 + Double(Float($1)) } / 5
    #expect(abs(try score["loss"].number - mean) < 1e-9)
    #expect(try score["tokens"].items.map { try $0.int } == [116, 104, 101, 32, 108, 111])
    let result = try JSON(try ran(place, ["evaluate", "run", "--data", "text.txt", "--json", "--quiet"]))
    let size = try place.bytes("text.txt").count
    #expect(try result["tokens"].int == size - 1 && result["bytes"].int == size && result["sequence"].int == 32)
    let line = try ran(place, ["evaluate", "run", "--data", "text.txt", "--sequence", "16", "--quiet"])
    #expect(
      line.contains("over \(size - 1) tokens in windows of 16;") || line.hasSuffix("in windows of 16\n"), "\(line)")
    #expect(abs(try result["perplexity"].number - exp(result["loss"].number)) < 1e-6)
    try place.write([97], to: "one.txt")
    expectRefusal(
      try place.run(["evaluate", "run", "--data", "one.txt", "--quiet"]),
      "--data one.txt has one token, and the first is")
    // It has learned something: better than 256 equally likely bytes.
    #expect(try result["loss"].number < log(256))
    let generate = ["generate", "run", "--prompt", "the ", "--max-tokens", "40", "--quiet"]
    let text = try ran(place, generate), again = try ran(place, generate)
    #expect(text.hasPrefix("the ") && text == again)
    #expect(try ran(place, generate + ["--seed", "2"]) != text)
    let object = try JSON(try ran(place, generate + ["--json"]))
    #expect(try object["tokens"].items.count == 40 && object["text"].string + "\n" == text)
  }

  @Test("Both exports of a sparse run have its scores, the compressed one bit for bit")
  func exports() throws {
    let place = try sparse()
    let run = try score(place, "run")
    _ = try ran(place, ["export", "run", "--compressed", "--out", "compressed", "--quiet"])
    _ = try ran(place, ["export", "run", "--out", "dense", "--quiet"])
    #expect(try score(place, "compressed")["nll"].items.map { try $0.number } == run["nll"].items.map { try $0.number })
    for (dense, sparse) in zip(try score(place, "dense")["nll"].items, try run["nll"].items) {
      #expect(abs(try dense.number - sparse.number) < 1e-5)
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: place["dense"].path).sorted()
    #expect(
      names == [
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
      ])
    // The tokenizer that goes with bytes is one of bytes.
    let text = try ran(place, ["evaluate", "dense", "--data", "text.txt", "--sequence", "32", "--json", "--quiet"])
    let bytes = try ran(place, ["evaluate", "run", "--data", "text.txt", "--json", "--quiet"])
    #expect(abs(try JSON(text)["loss"].number - JSON(bytes)["loss"].number) < 1e-5)
    expectRefusal(try place.run(["export", "run", "--out", "dense", "--quiet"]), "not empty")
  }

  @Test("A tokenizer is learned, texts become tokens by it, and a run on text and one on its tokens are the same")
  func tokens() throws {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    let learned = try JSON(
      try ran(
        place,
        ["tokenize", "train", "--vocabulary", "280", "--data", "text.txt", "--out", "t.json", "--json", "--quiet"]))
    #expect(try learned["vocabulary"].int == 280 && learned["tokenizer"].string.hasPrefix("bpe-280-"))
    let tokenized = try JSON(
      try ran(
        place,
        [
          "tokenize", "--tokenizer", "t.json", "--data", "text.txt", "--out", "tokens", "--shard-tokens", "1500",
          "--holdout",
        ]
          + ["0.1", "--json", "--quiet"]))
    let files = try tokenized["files"].strings
    #expect(files.first == "text_val_000000.bin" && files.count >= 3 && files[1] == "text_train_000001.bin")
    let sizes = files.map { (place.size("tokens/\($0)") - 1024) / 2 }
    // What is there would be mixed with what comes.
    expectRefusal(
      try place.run(["tokenize", "--tokenizer", "t.json", "--data", "text.txt", "--out", "tokens", "--quiet"]),
      "text_train_000001.bin")
    expectRefusal(
      try place.run(
        ["train", "--data", "tokens", "--validation", "tokens/\(files[0])", "--out", "leak", "--quiet"] + Tiny.shape),
      "--validation and in --data")
    #expect(try tokenized["tokens"].int == sizes.reduce(0, +) && tokenized["largest"].int < 280)
    let trains = files.dropFirst().map { "tokens/\($0)" }
    let shape = ["--steps", "6", "--vocabulary", "300"] + Tiny.shape + ["--quiet"]
    _ = try ran(
      place,
      ["train", "--data"] + trains + ["--validation", "tokens/\(files[0])", "--tokenizer", "t.json", "--out", "a"]
        + shape)
    _ = try ran(place, ["train", "--data", "text.txt", "--tokenizer", "t.json", "--out", "b"] + shape)
    for run in ["a", "b"] {
      #expect(try place.bytes("\(run)/tokenizer.json") == place.bytes("t.json"))
      #expect(
        try JSON(String(decoding: place.bytes("\(run)/run.json"), as: UTF8.self))["configuration"]["tokenizer"].string
          == learned["tokenizer"].string)
      #expect(try ran(place, ["generate", run, "--prompt", "loss", "--max-tokens", "3", "--quiet"]).hasPrefix("loss"))
    }
    // Without the flags the tokens do not fit, and without a tokenizer they have no text.
    expectRefusal(
      try place.run(["train", "--data"] + trains + ["--out", "c", "--quiet"] + Tiny.shape), "--vocabulary")
    _ = try ran(place, ["train", "--data"] + trains + ["--out", "d"] + shape)
    expectRefusal(try place.run(["generate", "d", "--prompt", "loss", "--quiet"]), "--tokenizer")
    expectRefusal(
      try place.run(["train", "--data", "text.txt", "--out", "b", "--resume"] + shape), "configuration")
  }

  @Test("An architecture comes from a config.json, and flags change it")
  func configuration() throws {
    let place = try sparse()
    _ = try ran(place, ["export", "run", "--out", "dense", "--quiet"])
    let plan = [
      "train", "--config", "dense/config.json", "--data", "text.txt", "--sequence", "32", "--dry-run", "--json",
    ]
    let same = try JSON(try ran(place, plan)), wider = try JSON(try ran(place, plan + ["--intermediate-size", "128"]))
    let narrow = try JSON(String(decoding: place.bytes("run/run.json"), as: UTF8.self))
    #expect(try same["configuration"]["architecture"].keys == narrow["configuration"]["architecture"].keys)
    #expect(try same["configuration"]["architecture"]["hiddenSize"].int == 32)
    #expect(try wider["parameters"]["mlp"].int == 2 * same["parameters"]["mlp"].int)
  }

  @Test("A run whose tokenizer is gone or another one is refused by name")
  func tokenizerGone() throws {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    _ = try ran(
      place, ["tokenize", "train", "--vocabulary", "280", "--data", "text.txt", "--out", "t.json", "--quiet"])
    _ = try ran(place, Tiny.train(steps: 5, ["--tokenizer", "t.json", "--vocabulary", "280"]))
    try FileManager.default.removeItem(at: place["run/tokenizer.json"])
    expectRefusal(try place.run(["evaluate", "run", "--data", "text.txt", "--quiet"]), "bpe-280-")
  }
}
