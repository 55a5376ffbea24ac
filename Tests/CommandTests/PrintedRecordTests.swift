import Foundation
import Records
import Testing

@Suite struct PrintedRecordTests {
  private func succeed(_ place: Workplace, _ arguments: [String]) throws -> String {
    let ending = try place.run(arguments)
    #expect(ending.status == 0, "\(ending.errors)")
    return ending.output
  }

  @Test("The catalog is JSON with a row for every family, and a table with the same families")
  func list() throws {
    let place = try Workplace()
    let rows = try JSON(try succeed(place, ["list", "--json"])).items
    let families = try rows.map { try $0["family"].string }
    #expect(Set(families).isSuperset(of: ["dense", "csr", "bsr", "blockdiagonal", "monarch", "lowrank"]))
    for row in rows {
      let fields: Set = ["family", "labels", "summary", "formula", "stored", "densities", "devices", "source"]
      #expect(try fields.isSubset(of: row.keys))
      #expect(try row["devices"].strings.contains("cpu"))
      #expect(try row["labels"].string.hasPrefix(row["family"].string))
    }
    let table = try succeed(place, ["list", "--markdown"])
    for family in families { #expect(table.contains(family)) }
  }

  @Test("The doctor's JSON says what the machine, its libraries and its devices are")
  func doctor() throws {
    let place = try Workplace()
    let diagnosis = try JSON(try succeed(place, ["doctor", "--json", "--threads", "1", "--isa", "scalar"]))
    let machine = try diagnosis["machine"]
    #expect(try machine["isa"].string == "scalar")
    #expect(try machine["threads"].int == 1)
    #expect(try machine["cores"].int >= 1)
    #expect(try machine["memoryBytes"].number > 0)
    #expect(try machine["peakFlopsPerSecond"].number > 0)
    #expect(try machine["bytesPerSecond"].number > 0)
    #expect(try diagnosis["instructionSets"].strings.contains("scalar"))
    let libraries = try diagnosis["denseLibraries"].items.map { try $0["name"].string }
    #expect(try Set(libraries + diagnosis["missingLibraries"].strings) == ["openblas", "blis", "mkl"])
    let devices = try diagnosis["devices"].items
    #expect(try devices.map { try $0["name"].string } == ["cpu", "cuda"])
    #expect(try devices[0]["primitives"].strings.isEmpty == false)
  }

  /// INTERFACE: the fields that other people's tools read.
  private static let benchFields: Set<String> = [
    "schema", "structure", "outputs", "inputs", "tokens", "density", "pass", "dtype", "device", "isa", "threads",
    "seconds", "spread", "repeats", "flops", "bytes", "flopsPerSecond", "efficiency", "predictedSeconds", "dense",
    "speedup", "idealSpeedup", "conversionSeconds", "verified", "errorFraction", "joules", "machine", "commit", "time",
  ]

  @Test("Every bench record has its fields, was verified, and agrees with itself", arguments: [1, 2])
  func bench(threads: Int) throws {
    let place = try Workplace()
    let printed = try succeed(
      place,
      [
        "bench", "--json", "--structures", "dense,csr,bsr-*,blockdiagonal*,monarch*,lowrank*", "--shapes",
        "128x64,32x48", "--tokens", "1,17", "--densities", "0.5", "--budget", "0", "--threads", "\(threads)", "--out",
        "records.jsonl",
      ])
    #expect(Array(printed.utf8) == (try place.bytes("records.jsonl")))
    for line in try JSON.lines(printed) {
      #expect(try line.keys.subtracting(["gpuJoules", "requestedDensity"]) == Self.benchFields)
      #expect(try line["dense"].keys == ["library", "seconds", "spread"])
    }
    let records = try printed.split(separator: "\n").map {
      try JSONDecoder().decode(BenchRecord.self, from: Data($0.utf8))
    }
    #expect(records.count >= 2 * 2 * 3 * 5)
    for record in records {
      #expect(record.schema == "filigree.bench/1")
      #expect(record.verified && record.errorFraction <= 1)
      #expect(record.threads == threads)
      #expect(["forward", "inputGradient", "weightGradient"].contains(record.pass))
      #expect(record.seconds > 0 && record.density > 0)
      #expect(record.speedup == record.dense.seconds / record.seconds)
      #expect(record.idealSpeedup == 1 / record.density)
      #expect(record.flopsPerSecond == record.flops / record.seconds)
      let products = 2 * record.density * Double(record.outputs * record.inputs * record.tokens)
      // Timed alone, a factorised weight gradient makes the gradient of its inner activations first: never less work.
      let isFactorised = ["monarch", "lowrank"].contains { record.structure.hasPrefix($0) }
      if isFactorised && record.pass == "weightGradient" {
        #expect(record.flops > products + 0.5 && record.flops < 2 * products + 0.5, "\(record.structure)")
      } else {
        #expect(abs(record.flops - products) < 0.5, "\(record.structure) \(record.pass)")
      }
    }
  }

  @Test(
    "A structure is timed at the usual densities that it has, and a word says which it has not, or that its label decides"
  )
  func saysWhatIsLeftOut() throws {
    let arguments = ["--shapes", "64x64", "--tokens", "1", "--passes", "forward", "--budget", "0", "--json"]
    // Of the four blocks of the padded shape a half leaves one, a quarter of the 64 x 64 weights none.
    let blocks = try Workplace().run(["bench", "--structures", "bsr-33"] + arguments)
    #expect(blocks.status == 0 && blocks.output.split(separator: "\n").count == 1, "\(blocks.errors)")
    for density in ["0.25", "0.1"] {
      #expect(blocks.errors.contains("not timed at 64x64, density \(density): bsr-33 has no member of shape"))
    }
    let monarch = try Workplace().run(["bench", "--structures", "monarch-3", "--densities", "0.5"] + arguments)
    #expect(monarch.status == 0)
    #expect(monarch.errors.contains("the label monarch-3 decides its density, 0.709 at 64x64, above the 0.5 asked for"))
    // What a label decides within what was asked for needs no word.
    let two = try Workplace().run(["bench", "--structures", "nm-2:4", "--densities", "0.5"] + arguments)
    #expect(two.status == 0 && !two.errors.contains("decides"), "\(two.errors)")
  }

  @Test("Records are added to those that a file has")
  func appends() throws {
    let place = try Workplace()
    let arguments = [
      "bench", "--json", "--structures", "csr", "--shapes", "8x8", "--tokens", "1", "--densities", "0.5", "--passes",
      "forward", "--budget", "0", "--out", "records.jsonl",
    ]
    let first = try succeed(place, arguments), second = try succeed(place, arguments)
    #expect(try place.bytes("records.jsonl") == Array((first + second).utf8))
  }

  @Test("The reference has 162,417,408 parameters, and a dry run writes nothing")
  func dryRun() throws {
    let place = try Workplace()
    let text = try succeed(place, ["train", "--preset", "mistral-162m", "--dry-run"])
    #expect(text.contains("162,417,408"))
    let plan = try JSON(try succeed(place, ["train", "--preset", "mistral-162m", "--dry-run", "--json"]))
    #expect(try plan["parameters"]["whole"].int == 162_417_408)
    #expect(try plan["parameters"]["mlp"].int == 12 * 3 * 768 * 3072)
    #expect(try plan["density"]["mlp"].number == 1)
    #expect(try plan["structure"].string == "dense")
    #expect(try plan["tokensPerStep"].int == 64 * 1024)
    #expect(try plan["configuration"]["steps"].int > 0)
    // Values, gradients and two moments at least; three products of every weight for every token at least.
    #expect(try plan["memoryBytes"].number >= 16 * 162_417_408)
    #expect(try plan["flopsPerStep"].number >= 6 * Double(162_417_408 - 768 * 32000) * 64 * 1024)
    #expect(try plan["leastSecondsPerStep"].number > 0)
    #expect(try place.contents().isEmpty)
  }

  @Test("A run's JSON lines are those of its metrics.jsonl")
  func trainingLines() throws {
    let place = try Workplace()
    try place.write(Text.english, to: "text.txt")
    let printed = try succeed(place, Tiny.train(steps: 6, ["--json"]))
    #expect(Array(printed.utf8) == (try place.bytes("run/metrics.jsonl")))
    let record = try JSON(String(decoding: try place.bytes("run/run.json"), as: UTF8.self))
    let fields: Set = ["argv", "configuration", "seed", "machine", "versions", "commit", "parameters", "density"]
    #expect(try fields.isSubset(of: record.keys))
    #expect(try record["argv"].strings.contains("--json"))
  }
}
