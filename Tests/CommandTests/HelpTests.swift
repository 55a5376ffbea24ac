import Testing

@Suite struct HelpTests {
  private static let subcommands = [
    "doctor", "list", "bench", "train", "survey", "report", "evaluate", "score", "generate", "export",
  ]

  @Test("Help is text on standard output for what tokenize does", arguments: ["shards", "train"])
  func tokenize(_ name: String) throws {
    let ending = try Workplace().run(["tokenize", name, "--help"])
    #expect(ending.status == 0 && ending.errors.isEmpty && ending.output.contains("filigree tokenize \(name)"))
    for option in ["--json", "--quiet", "--threads", "--device", "--seed"] { #expect(ending.output.contains(option)) }
  }

  @Test("Help is text on standard output for every subcommand", arguments: subcommands)
  func subcommand(_ name: String) throws {
    let place = try Workplace()
    for arguments in [[name, "--help"], ["help", name], [name, "-h"]] {
      let ending = try place.run(arguments)
      #expect(ending.status == 0)
      #expect(ending.errors.isEmpty)
      #expect(ending.output.contains("filigree \(name)"))
      for option in ["--json", "--quiet", "--threads", "--device", "--seed"] { #expect(ending.output.contains(option)) }
    }
  }

  @Test("Help without a subcommand lists them all", arguments: [["--help"], ["help"], []])
  func whole(_ arguments: [String]) throws {
    let ending = try Workplace().run(arguments)
    #expect(ending.status == 0)
    #expect(ending.errors.isEmpty)
    for name in Self.subcommands + ["tokenize"] { #expect(ending.output.contains("  \(name) ")) }
  }

  @Test("The version is one line")
  func version() throws {
    let ending = try Workplace().run(["--version"])
    #expect(ending.status == 0)
    #expect(ending.output.hasPrefix("filigree ") && ending.output.filter { $0 == "\n" }.count == 1)
  }
}
