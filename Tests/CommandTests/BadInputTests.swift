import Foundation
import Testing

/// A request that cannot be met, and the word that its refusal must have.
struct BadRequest: Sendable, CustomTestStringConvertible {
  let name: String
  let word: String
  let arguments: [String]
  var status: Int32 = 2

  var testDescription: String { name }

  init(_ name: String, word: String, status: Int32 = 2, _ arguments: [String]) {
    (self.name, self.word, self.status, self.arguments) = (name, word, status, arguments)
  }
}

/// One line on standard error that begins "filigree: " and names what is wrong; nothing on standard output.
func expectRefusal(
  _ ending: Program.Ending, _ word: String, status: Int32 = 2, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(ending.status == status, "\(ending.errors)", sourceLocation: sourceLocation)
  #expect(ending.output.isEmpty, sourceLocation: sourceLocation)
  #expect(ending.errorLines.count == 1, "\(ending.errors)", sourceLocation: sourceLocation)
  #expect(ending.errors.hasPrefix("filigree: ") && ending.errors.hasSuffix("\n"), sourceLocation: sourceLocation)
  #expect(ending.errors.contains(word), "\(ending.errors)", sourceLocation: sourceLocation)
}

@Suite struct BadInputTests {
  static let bench = ["bench", "--shapes", "64x64", "--tokens", "1", "--densities", "0.5", "--budget", "0"]
  static let csr = bench + ["--structures", "csr"]

  static let requests: [BadRequest] = [
    BadRequest("no such subcommand", word: "trian", ["trian"]),
    BadRequest("no such option", word: "--structure", bench + ["--structure", "csr"]),
    BadRequest("no such structure", word: "'toeplitz-8'", bench + ["--structures", "toeplitz-8"]),
    BadRequest("a structure with a line end", word: "structure", bench + ["--structures", "cs\nr"]),
    BadRequest("a structure with an escape", word: "structure", bench + ["--structures", "cs\u{1b}[31mr"]),
    BadRequest("no structure", word: "--structures", bench + ["--structures", ","]),
    BadRequest("a glob that matches nothing", word: "'bsr-9*'", bench + ["--structures", "bsr-9*"]),
    BadRequest(
      "blocks of 2^66", word: "bsr-99999999999999999999", bench + ["--structures", "bsr-99999999999999999999"]),
    BadRequest(
      "blocks that do not divide", word: "divide",
      ["bench", "--structures", "circulant-32", "--shapes", "100x100", "--tokens", "1", "--densities", "0.5"]),
    BadRequest(
      "an initialisation that the structure has not", word: "zero-last",
      train(["--structure", "bsr-8", "--density", "0.5", "--initialization", "zero-last"])),
    BadRequest("density 0", word: "--densities", bench + ["--structures", "csr", "--densities", "0"]),
    BadRequest("density 1.5", word: "1.5", bench + ["--structures", "csr", "--densities", "1.5"]),
    BadRequest("density nan", word: "nan", bench + ["--structures", "csr", "--densities", "nan"]),
    BadRequest("a shape of one side", word: "'64'", csr + ["--shapes", "64"]),
    BadRequest("a shape with a side of 0", word: "'0x64'", csr + ["--shapes", "0x64"]),
    BadRequest(
      "a shape of 2^126 weights", word: "--shapes", csr + ["--shapes", "9223372036854775807x9223372036854775807"]),
    BadRequest("no tokens", word: "--tokens", csr + ["--tokens", "0"]),
    BadRequest("2^62 tokens", word: "--tokens", csr + ["--tokens", "4611686018427387904"]),
    BadRequest("more numbers than memory", word: "memory", csr + ["--shapes", "1024x1048576", "--tokens", "1048576"]),
    BadRequest("no such pass", word: "'sideways'", csr + ["--passes", "forward,sideways"]),
    BadRequest("a budget that is not a number", word: "--budget", csr + ["--budget", "nan"]),
    BadRequest("no such dense library", word: "'atlas'", csr + ["--against", "atlas"]),
    BadRequest("records below a regular file", word: "plain", csr + ["--out", "plain/records.jsonl"]),
    BadRequest("records into a directory", word: "directory", csr + ["--out", "."]),
    BadRequest("records into nothing", word: "--out", csr + ["--out", ""]),
    BadRequest("no such device", word: "'nonsense'", ["doctor", "--device", "nonsense"]),
    BadRequest("a device without a number", word: "'cuda:x'", ["doctor", "--device", "cuda:x"]),
    BadRequest("no such instruction set", word: "'sse9'", ["doctor", "--isa", "sse9"]),
    BadRequest("0 threads", word: "0 threads", ["doctor", "--threads", "0"]),
    BadRequest("-1 threads", word: "-1 threads", ["doctor", "--threads=-1"]),
    BadRequest("1025 threads", word: "1025 threads", ["doctor", "--threads", "1025"]),
    BadRequest("2^63 - 1 threads", word: "9223372036854775807", ["doctor", "--threads", "9223372036854775807"]),
    BadRequest("2^63 threads", word: "--threads", ["doctor", "--threads", "9223372036854775808"]),
    BadRequest("a negative seed", word: "--seed", ["list", "--seed=-1"]),
    BadRequest("a negative seed, apart", word: "'-1' is invalid for '--seed", ["list", "--seed", "-1"]),
    BadRequest(
      "a seed beyond 2^64", word: "from 0 to 18446744073709551615", ["list", "--seed", "18446744073709551616"]),
    BadRequest(
      "threads that are no number", word: "give a whole number of at least 1 (", ["list", "--threads", "many"]),
    BadRequest("threads joined to a word", word: "give a whole number of at least 1 (", ["list", "--threads=many"]),
    BadRequest("steps that are no number", word: "give a whole number of at least 1 (", ["survey", "--steps", "x"]),
    BadRequest(
      "threads beyond whole numbers", word: "a whole number of at most", ["list", "--threads", "9223372036854775808"]),
    BadRequest(
      "a budget of words", word: "'x' is invalid for '--budget <budget>'; give a number (", csr + ["--budget", "x"]),
    BadRequest("tokens of words", word: "give a whole number of at least 0 (", ["generate", "m", "--max-tokens", "x"]),
    BadRequest("no equality", word: "; give steps, flops or time (", ["survey", "--equal"]),
    BadRequest("no equality before an option", word: "; give steps, flops or time (", ["survey", "--equal", "--json"]),
    BadRequest("no number of seeds", word: "; give a whole number of at least 1 (", ["survey", "--seeds"]),
    BadRequest("half a thread", word: "give a whole number", ["list", "--threads", "0.5"]),
    BadRequest(
      "blocks that leave nothing of a padded shape",
      word: "bsr-33 has no member of shape 64x64: density 0.2 leaves no block; ask for more",
      ["bench", "--structures", "bsr-33", "--shapes", "64x64", "--tokens", "1", "--densities", "0.2"]),
    BadRequest(
      "blocks that no usual density leaves any of", word: "bsr-65 has no member",
      ["bench", "--structures", "bsr-65", "--shapes", "64x64", "--tokens", "1"]),
    BadRequest(
      "a bench of a device without a number", word: "'cuda:x'", ["bench", "--device", "cuda:x", "--shapes", "0"]),
    BadRequest("densities below 0", word: "'-0.5' in --densities", csr + ["--densities", "-0.5,0.25"]),
    BadRequest("a budget below 0", word: "--budget", csr + ["--budget", "-1"]),
    BadRequest("a number for a flag", word: "'--json' does not take", ["list", "--json", "-1"]),
    BadRequest("a number for nothing", word: "-1", ["list", "-1"]),
    BadRequest("a report on no survey", word: "survey.json", ["report", "."]),
    BadRequest("a report on nothing", word: "survey.json", ["report", "nowhere"]),
    BadRequest("a report without a name", word: "empty", ["report", ""]),
    BadRequest("no such survey", word: "'quickest'", ["survey", "--preset", "quickest", "--out", "new"]),
    BadRequest("no such model in a survey", word: "'mistral-1t'", ["survey", "--model", "mistral-1t", "--out", "new"]),
    BadRequest("a survey of 0 steps", word: "--steps", ["survey", "--steps", "0", "--out", "new"]),
    BadRequest("a survey of 0 seeds", word: "--seeds", ["survey", "--seeds", "0", "--out", "new"]),
    BadRequest("a survey below a regular file", word: "plain", survey("plain/new")),
    BadRequest("a survey on a regular file", word: "plain", survey("plain")),
    BadRequest("a survey without a name", word: "--out", survey("")),
    BadRequest(
      "a survey of a seed without a successor", word: "seed", survey("new") + ["--seed", "18446744073709551615"]),
    BadRequest("a device that is not here", word: "CUDA", status: 3, ["doctor", "--device", "cuda"]),
    BadRequest("a second device that is not here", word: "CUDA", status: 3, train(["--device", "cuda:0"])),
    BadRequest("an instruction set that is not here", word: "neon", status: 3, ["doctor", "--isa", foreign]),
  ]

  static let models: [BadRequest] = [
    BadRequest(
      "a model nowhere", word: "nowhere; check the path of the model", ["evaluate", "nowhere", "--data", "text.txt"]),
    BadRequest("a model that is a file", word: "plain is a file; give", ["evaluate", "plain", "--data", "text.txt"]),
    BadRequest(
      "a survey for a model", word: "give one of its runs/", ["evaluate", "surveyed", "--data", "text.txt"]),
    BadRequest("a model that is a directory of nothing", word: "config.json", ["score", "bare", "--tokens", "1,2"]),
    BadRequest("nothing to evaluate on", word: "--data", ["evaluate", "bare"]),
    BadRequest(
      "tokens that are words", word: "'one' in --tokens is not the number of a token; give",
      ["score", "bare", "--tokens", "one,2"]),
    BadRequest("tokens below zero", word: "'-1'", ["score", "bare", "--tokens=-1,2"]),
    BadRequest("tokens below zero, apart", word: "'-1'", ["score", "bare", "--tokens", "-1,2"]),
    BadRequest("text below no tokens, apart", word: "--max-tokens", ["generate", "bare", "--max-tokens", "-1"]),
    BadRequest("no tokens", word: "--tokens", ["score", "bare"]),
    BadRequest("tokens twice", word: "--tokens", ["score", "bare", "--tokens", "1,2", "--tokens-file", "text.txt"]),
    BadRequest("text below no tokens", word: "--max-tokens", ["generate", "bare", "--max-tokens=-1"]),
    BadRequest("an export to nowhere", word: "--out", ["export", "bare"]),
    BadRequest(
      "an export of both forms", word: "--densify", ["export", "bare", "--out", "new", "--densify", "--compressed"]),
    BadRequest("tokens of nothing", word: "--data", ["tokenize", "--out", "new"]),
    BadRequest("tokens to nowhere", word: "--out", ["tokenize", "--data", "text.txt"]),
    BadRequest(
      "tokens held out beyond all", word: "--holdout",
      ["tokenize", "--data", "text.txt", "--out", "new", "--holdout", "1"]),
    BadRequest(
      "files of no token", word: "--shard-tokens",
      ["tokenize", "--data", "text.txt", "--out", "new", "--shard-tokens", "0"]),
    BadRequest(
      "a file's name with a folder", word: "--name",
      ["tokenize", "--data", "text.txt", "--out", "new", "--name", "a/b"]),
    BadRequest(
      "a vocabulary below the bytes", word: "256",
      ["tokenize", "train", "--vocabulary", "256", "--data", "text.txt", "--out", "new"]),
    BadRequest("a tokenizer of nothing", word: "--data", ["tokenize", "train", "--out", "new"]),
    BadRequest("a tokenizer to nowhere", word: "--out", ["tokenize", "train", "--data", "text.txt"]),
  ]

  @Test("What cannot be done with a model or a text is refused in one line, and leaves no trace", arguments: models)
  func refusesModel(_ request: BadRequest) throws { try refuse(request) }

  #if arch(x86_64)
    static let foreign = "neon"
  #else
    static let foreign = "avx512"
  #endif

  static func survey(_ out: String) -> [String] {
    ["survey", "--structures", "csr", "--shapes", "64x64", "--tokens", "1", "--steps", "1", "--out", out]
  }

  static func train(_ more: [String]) -> [String] { Tiny.train(to: "new", more) }

  static let trainings: [BadRequest] = [
    BadRequest("no such preset", word: "'mistral-1t'", train(["--preset", "mistral-1t"])),
    BadRequest("no such tokenizer", word: "'words'", train(["--tokenizer", "words"])),
    BadRequest("no such structure", word: "'toeplitz'", train(["--structure", "toeplitz"])),
    BadRequest("a structure of no density", word: "0", train(["--structure", "csr", "--density", "0"])),
    BadRequest("blocks that do not divide", word: "divide", train(["--structure", "circulant-5"])),
    BadRequest("density nan", word: "nan", train(["--density", "nan"])),
    BadRequest("0 steps", word: "--steps 0", train(["--steps", "0"])),
    BadRequest("2^63 - 1 steps", word: "--steps", train(["--steps", "9223372036854775807"])),
    BadRequest("a batch of 0", word: "--batch 0", train(["--batch", "0"])),
    BadRequest("a sequence of 0", word: "--sequence 0", train(["--sequence", "0"])),
    BadRequest("a learning rate of nan", word: "nan", train(["--learning-rate", "nan", "--dry-run"])),
    BadRequest("a learning rate below 0", word: "-1", train(["--learning-rate=-1", "--dry-run"])),
    BadRequest("a rate below 0, apart", word: "learning rate -1.0", train(["--learning-rate", "-1", "--dry-run"])),
    BadRequest("a rate of no number", word: "'-1x' is invalid", train(["--learning-rate", "-1x", "--dry-run"])),
    BadRequest("steps below 0", word: "--steps -5", train(["--steps", "-5"])),
    BadRequest("a batch below 0", word: "--batch -2", train(["--batch", "-2"])),
    BadRequest("a density below 0", word: "density -0.5", train(["--structure", "csr", "--density", "-.5"])),
    BadRequest("a rope theta of minus infinity", word: "theta -inf", train(["--rope-theta", "-inf", "--dry-run"])),
    BadRequest("a window below 0", word: "window of -3", train(["--sliding-window", "-3"])),
    BadRequest("no steps at all", word: "Missing value for '--steps", train(["--steps"])),
    BadRequest("an option for steps", word: "Missing value for '--steps", train(["--steps", "--dry-run"])),
    BadRequest("no checkpoint kept", word: "0", train(["--keep", "0", "--dry-run"])),
    BadRequest("checkpoints every 0 steps", word: "checkpoint", train(["--checkpoint-every", "0", "--dry-run"])),
    BadRequest("evaluations every 0 steps", word: "evaluation", train(["--evaluate-every", "0", "--dry-run"])),
    BadRequest("heads that do not divide", word: "divide", train(["--heads", "3", "--key-value-heads", "2"])),
    BadRequest("an odd head dimension", word: "odd", train(["--head-dimension", "15"])),
    BadRequest("fewer tokens than bytes", word: "255", train(["--vocabulary", "255"])),
    BadRequest("a hidden size of 0", word: "hidden size 0", train(["--hidden-size", "0"])),
    BadRequest("a norm epsilon beyond any float", word: "epsilon", train(["--norm-epsilon", "1e308", "--dry-run"])),
    BadRequest("a rope theta of infinity", word: "theta", train(["--rope-theta", "inf", "--dry-run"])),
    BadRequest("a window that sees nothing", word: "window", train(["--sliding-window=-1"])),
    BadRequest(
      "a matrix of 2^48 weights", word: "2^30 weights",
      train(["--hidden-size", "16777216", "--intermediate-size", "16777216", "--structure", "csr", "--density", "0.5"])),
    BadRequest(
      "heads of 2^48 features", word: "2^30 weights",
      train(["--heads", "16777216", "--head-dimension", "16777216", "--hidden-size", "16777216", "--dry-run"])),
    BadRequest(
      "a batch of 2^41 tokens", word: "batch",
      ["train", "--batch", "1048576", "--sequence", "90000", "--vocabulary", "16777216", "--dry-run"]),
    BadRequest("more numbers than memory", word: "memory", train(["--hidden-size", "32768", "--layers", "4000"])),
    BadRequest("no data", word: "nowhere.txt", Tiny.train(on: "nowhere.txt", to: "new")),
    BadRequest("empty data", word: "empty", Tiny.train(on: "empty.txt", to: "new")),
    BadRequest("binary data", word: "NUL", Tiny.train(on: "binary.dat", to: "new")),
    BadRequest("tokens that are none", word: "odd.bin", Tiny.train(on: "odd.bin", to: "new")),
    BadRequest("data in another encoding", word: "UTF-8", Tiny.train(on: "latin1.txt", to: "new")),
    BadRequest(
      "too little data", word: "11 bytes, too few for sequences of 32 tokens: 2 x (32 + 1) are needed",
      Tiny.train(on: "short.txt", to: "new")),
    BadRequest("too little data to validate on", word: "11 bytes", train(["--validation", "short.txt"])),
    BadRequest(
      "validation without training", word: "--validation", ["train", "--validation", "text.txt", "--out", "new"]),
    BadRequest("a directory of no text", word: "bare", Tiny.train(on: "bare", to: "new")),
    BadRequest("a run below a regular file", word: "Not a directory", Tiny.train(to: "plain/new")),
    BadRequest("a run on a regular file", word: "plain", Tiny.train(to: "plain")),
    BadRequest("a run without a name", word: "--out", Tiny.train(to: "")),
    BadRequest("an architecture from nowhere", word: "nowhere.json", train(["--config", "nowhere.json"])),
    BadRequest("an architecture that is none", word: "JSON", train(["--config", "text.txt"])),
    BadRequest("a tokenizer that is a text", word: "text.txt", train(["--tokenizer", "text.txt"])),
    BadRequest("a glob that matches nothing", word: "*.md", Tiny.train(on: "*.md", to: "new")),
    BadRequest("a run nowhere", word: "--out", ["train", "--data", "text.txt"] + Tiny.shape),
  ]

  private func refuse(_ request: BadRequest) throws {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    try place.write([], to: "empty.txt")
    try place.write(Array("text".utf8) + [0] + Text.english, to: "binary.dat")
    try place.write([1, 0, 2], to: "odd.bin")
    try place.write(Array("caf".utf8) + [0xe9, 0x20] + Text.english, to: "latin1.txt")
    try place.write(Array("eleven byte".utf8), to: "short.txt")
    try place.write(Array("a file".utf8), to: "plain")
    for name in ["bare", "surveyed"] {
      try FileManager.default.createDirectory(at: place[name], withIntermediateDirectories: true)
    }
    try place.write([], to: "surveyed/survey.json")
    let before = try place.contents()
    expectRefusal(try place.run(request.arguments), request.word, status: request.status)
    #expect(try place.contents() == before)
  }

  @Test("What the commands cannot do they refuse in one line, and leave no trace", arguments: requests)
  func refusesRequest(_ request: BadRequest) throws { try refuse(request) }

  @Test("What cannot be trained is refused in one line, and leaves no trace", arguments: trainings)
  func refusesTraining(_ request: BadRequest) throws { try refuse(request) }

  @Test("A dense library that is not here is missing, not bad input")
  func refusesMissingLibrary() throws {
    let place = try Workplace()
    let doctor = try place.run(["doctor", "--json", "--threads", "1"])
    let missing = try JSON(doctor.output)["missingLibraries"].strings
    for library in missing {
      expectRefusal(try place.run(Self.csr + ["--against", library]), library, status: 3)
    }
  }

  @Test("A refusal survives standard error being closed or full", arguments: [Program.Stream.closed, .full])
  func refusesWithoutStandardError(_ stream: Program.Stream) throws {
    let place = try Workplace()
    var program = Program(in: place.url)
    program.errors = stream
    #expect(try program.run(["doctor", "--isa", "nonsense"]).status == 2)
    // Of the program, not of a shell that found no such directory.
    #expect(place.exists(""))
  }

  @Test("A full standard output is told in one line", arguments: [["list"], ["list", "--json"]])
  func refusesFullOutput(_ arguments: [String]) throws {
    let place = try Workplace()
    var program = Program(in: place.url)
    program.output = .full
    expectRefusal(try program.run(arguments), "standard output", status: 1)
    #expect(place.exists(""))
  }

  @Test("A plan beyond this machine's memory says so, and is no failure")
  func plansTooMuch() throws {
    let plan = try Workplace().run([
      "train", "--batch", "65536", "--sequence", "1024", "--layers", "1000", "--threads", "1", "--dry-run",
    ])
    #expect(plan.status == 0 && plan.output.contains("more than the"), "\(plan.output) \(plan.errors)")
  }
}
