import Foundation
import Records

@testable import Reporting

/// Builds survey directories: plans, runs and bench records made up from formulas, never measured.
struct SurveyFixture {
  /// A training run: `losses` are (step, validation loss), every step takes `stepSeconds`.
  struct Run {
    var structure: String
    var density = 1.0
    var seed: UInt64 = 1
    var stepSeconds = 1.0
    var losses: [(step: Int, loss: Double)] = []
    var parameters = 1000
    /// Where it has a length of its own.
    var steps: Int?
    var isDone = true
    var isStarted = true
    var jitter = 0.0
    var joules: Double?
    var gpuJoules: Double?
    /// Of every step; nil leaves it out, as records of older versions do.
    var flops: Double?
    var variant: String?
    /// A rate of the sweep.
    var learningRate: Double?
    /// The sentence of a run whose loss exploded.
    var divergence: String?

    var directory: String {
      let plain = structure.map { $0.isLetter || $0.isNumber || $0 == "-" ? $0 : "_" }
      return "\(String(plain))-d\(density)-s\(seed)" + (variant.map { "-\($0)" } ?? "")
        + (learningRate.map { "-r\($0)" } ?? "")
    }
  }

  var equal: SurveyRecord.Equality?
  var steps = 4
  var tokensPerStep = 10
  var runs: [Run] = []
  var bench: [BenchRecord] = []
  var entropyRate: Double?
  var learningRates: [Double]?
  var processor = "Example 9000 (2 cores)"

  let machineName = "example"

  var machine: MachineRecord {
    MachineRecord(
      processor: processor, cores: 2, memoryBytes: 8 << 30, operatingSystem: "Linux 6.1", isa: "avx2", device: "cpu",
      threads: 2, peakFlopsPerSecond: 1.8e11, bytesPerSecond: 2.1e10, denseLibraries: ["openblas 0.3.21"],
      energyReadable: false)
  }

  static func bench(
    _ structure: String, density: Double = 1, pass: String = "forward", outputs: Int = 64, inputs: Int = 16,
    tokens: Int = 10, speedup: Double = 1, verified: Bool = true
  ) -> BenchRecord {
    let dense = 2e-11 * Double(outputs * inputs * tokens)
    let flops = 2 * density * Double(outputs * inputs * tokens)
    return BenchRecord(
      structure: structure, outputs: outputs, inputs: inputs, tokens: tokens, density: density,
      requestedDensity: density, pass: pass, dtype: "float32", device: "cpu", isa: "avx2", threads: 2,
      seconds: dense / speedup, spread: 0.012, repeats: 9, flops: flops, bytes: 4 * flops,
      flopsPerSecond: flops * speedup / dense, efficiency: min(1, 0.9 * speedup * density),
      predictedSeconds: dense * density * 0.9, dense: BenchRecord.Dense(library: "openblas 0.3.21", seconds: dense),
      speedup: speedup, idealSpeedup: 1 / density, conversionSeconds: 0, verified: verified,
      errorFraction: verified ? 0.11 : 37, joules: nil, machine: "example", commit: "0123abcd4567",
      time: "2026-01-02T03:04:05Z")
  }

  /// Writes the survey to a new temporary folder and returns it.
  func written() throws -> URL {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("survey-\(UUID().uuidString)")
    try write(to: root)
    return root
  }

  /// The survey's report and its page without figures, apostrophes as they are read.
  func report<Result>(_ body: (SurveyReport, _ page: String) throws -> Result) throws -> Result {
    let root = try written()
    defer { try? FileManager.default.removeItem(at: root) }
    let report = try SurveyReport(reading: root), out = root.appendingPathComponent("report")
    try report.write(to: out, figures: nil)
    let page = try String(contentsOf: out.appendingPathComponent("index.html"), encoding: .utf8)
    return try body(report, page.replacingOccurrences(of: "&#39;", with: "'"))
  }

  func write(to root: URL) throws {
    try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
    let survey = SurveyRecord(
      preset: "quick", argv: ["filigree", "survey", "--preset", "quick", "--out", "my survey"],
      modelPreset: "mistral-tiny", equal: equal, steps: steps, tokensPerStep: tokensPerStep,
      corpus: SurveyRecord.Corpus(
        name: "generated (seed 1)", trainingBytes: 4_000_000, validationBytes: 200_000, unigramEntropy: 2.9,
        entropyRate: entropyRate),
      shapes: ["768x192", "192x768"], benchTokens: [tokensPerStep], densities: [0.5, 0.25, 0.1],
      runs: runs.map {
        SurveyRecord.Run(
          structure: $0.structure, requestedDensity: $0.density, seed: $0.seed, directory: $0.directory,
          variant: $0.variant, learningRate: $0.learningRate, steps: $0.steps)
      }, learningRates: learningRates, machine: machine, commit: "0123abcd4567", time: "2026-01-02T03:04:05Z")
    let encoder = JSONEncoder()
    try encoder.encode(survey).write(to: root.appendingPathComponent("survey.json"))
    try lines(bench).write(to: root.appendingPathComponent("bench.jsonl"))
    for run in runs where run.isStarted { try write(run, to: root.appendingPathComponent("runs/\(run.directory)")) }
  }

  private func write(_ run: Run, to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let steps = run.steps ?? steps
    let configuration = TrainingConfiguration(
      preset: "mistral-tiny",
      architecture: TrainingConfiguration.Architecture(
        hiddenSize: 192, intermediateSize: 768, layers: 4, heads: 6, keyValueHeads: 6, headDimension: 32,
        vocabularySize: 256),
      structure: run.structure, density: run.density, data: ["generated"], validation: ["generated"],
      dataChecksum: "00000000", tokenizer: "bytes", steps: steps, batch: 1, sequence: tokensPerStep,
      learningRate: run.learningRate ?? 0.001, warmupSteps: 20, evaluateEvery: 25, evaluationSequences: 16,
      checkpointEvery: 100)
    let record = RunRecord(
      argv: ["filigree", "train"], structure: run.structure, configuration: configuration, seed: run.seed,
      machine: machine, versions: ["filigree": "0.1"], commit: "0123abcd4567",
      parameters: RunRecord.Count(whole: run.parameters, mlp: run.parameters / 2),
      density: RunRecord.Density(whole: (1 + run.density) / 2, mlp: run.density), effectiveWidth: 768,
      flopsPerStep: 3e9 * (1 + run.density), time: "2026-01-02T03:04:05Z")
    try JSONEncoder().encode(record).write(to: folder.appendingPathComponent("run.json"))
    var metrics: [MetricRecord] = []
    for (step, loss) in run.losses where step == 0 {
      metrics.append(MetricRecord(step: 0, tokens: 0, validationLoss: loss))
    }
    for step in 1...steps {
      let wave = sin(Double(step) * 1.7 + Double(run.seed)) + 0.6 * sin(Double(step) * 4.1)
      metrics.append(
        MetricRecord(
          step: step, tokens: step * tokensPerStep,
          loss: Self.interpolated(run.losses, step) + 0.05 * run.jitter * wave,
          learningRate: 0.001, gradientNorm: 1, stepSeconds: run.stepSeconds * (1 + 0.02 * run.jitter * wave),
          tokensPerSecond: Double(tokensPerStep) / run.stepSeconds, joules: run.joules,
          gpuJoules: run.gpuJoules.map { step.isMultiple(of: 2) ? 2 * $0 : 0 }, peakBytes: 1_000_000 + step,
          flops: run.flops))
      for (evaluated, loss) in run.losses where evaluated == step {
        metrics.append(MetricRecord(step: step, tokens: step * tokensPerStep, validationLoss: loss))
      }
    }
    try lines(metrics).write(to: folder.appendingPathComponent("metrics.jsonl"))
    if let divergence = run.divergence {
      try Data(divergence.utf8).write(to: folder.appendingPathComponent("DIVERGED"))
    } else if run.isDone {
      try Data().write(to: folder.appendingPathComponent("DONE"))
    }
  }

  private func lines<Record: Encodable>(_ records: [Record]) throws -> Data {
    let encoder = JSONEncoder()
    return try records.reduce(into: Data()) { data, record in
      data.append(try encoder.encode(record))
      data.append(0x0A)
    }
  }

  private static func interpolated(_ losses: [(step: Int, loss: Double)], _ step: Int) -> Double {
    guard let after = losses.first(where: { $0.step >= step }) else { return losses.last?.loss ?? 1 }
    guard let before = losses.last(where: { $0.step < step }) else { return after.loss }
    return before.loss + (after.loss - before.loss) * Double(step - before.step) / Double(after.step - before.step)
  }
}

extension SurveyFixture {
  /// Seven structures over 200 steps with two shapes, three densities and three passes, as a quick survey might look.
  static var plausible: SurveyFixture {
    var fixture = SurveyFixture()
    fixture.steps = 200
    fixture.tokensPerStep = 2048
    fixture.entropyRate = 1.62
    // Label, density, seeds, step seconds, where the loss ends, parameters.
    let trained: [(String, Double, UInt64, Double, Double, Int)] = [
      ("dense", 1, 3, 0.410, 1.905, 2_951_000), ("csr", 0.1, 2, 0.322, 1.934, 1_358_000),
      ("bsr-32", 0.1, 3, 0.262, 1.951, 1_358_000), ("blockdiagonal-4", 0.25, 1, 0.291, 2.031, 1_623_000),
      ("monarch-4", 0.3125, 3, 0.296, 1.872, 1_734_000), ("lowrank-51", 0.33, 2, 0.421, 1.932, 1_766_000),
      ("narrow", 0.1, 1, 0.254, 1.978, 1_358_000),
    ]
    for (label, density, seeds, seconds, end, parameters) in trained {
      for seed in 1...seeds {
        let shift = (Double(seed) - Double(seeds + 1) / 2) * 0.006
        let losses = stride(from: 0, through: 200, by: 25).map { step in
          (step: step, loss: end + shift + (5.55 - end) * exp(-Double(step) / (24 + 18 * density)))
        }
        fixture.runs.append(
          Run(
            structure: label, density: density, seed: seed, stepSeconds: seconds * (1 + 0.004 * Double(seed)),
            losses: losses, parameters: parameters, jitter: 1))
      }
    }
    let share = [
      "csr": 0.42, "bsr-32": 0.84, "blockdiagonal-4": 0.93, "monarch-4": 0.71, "lowrank-51": 0.81, "dense": 0.99,
    ]
    for (outputs, inputs) in [(768, 192), (192, 768)] {
      for (pass, cost) in [("forward", 1.0), ("inputGradient", 0.94), ("weightGradient", 0.66)] {
        for label in share.keys.sorted() {
          let densities =
            switch label {
            case "dense": [1.0]
            case "blockdiagonal-4": [0.25]
            case "monarch-4": [0.3125]
            case "lowrank-51": [0.33]
            default: [0.5, 0.25, 0.1]
            }
          for density in densities {
            let speedup = pow((share[label] ?? 1) / density, 0.95) * cost * (outputs > inputs ? 1 : 0.9)
            fixture.bench.append(
              bench(
                label, density: density, pass: pass, outputs: outputs, inputs: inputs, tokens: 2048, speedup: speedup))
          }
        }
      }
    }
    return fixture
  }
}
