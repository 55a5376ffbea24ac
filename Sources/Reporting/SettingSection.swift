import Foundation
import Records

/// Machine, corpus, configuration, method and how to reproduce.
struct SettingSection {
  let findings: Findings

  private var survey: SurveyRecord { findings.recorded.survey }

  var html: String {
    "<h2>Machine and setting</h2>\n" + facts(machine + corpus + configuration) + "<h2>Method</h2>\n" + method
      + "<h2>How to reproduce</h2>\n" + reproduce
  }

  private var machine: [(String, String)] {
    let machine = survey.machine
    return [
      ("Processor", machine.processor),
      ("Cores, threads used", "\(machine.cores), \(machine.threads)"),
      ("Memory", Numerals.bytes(Double(machine.memoryBytes))),
      ("Device, instruction set", "\(machine.device), \(machine.isa)"),
      ("Operating system", machine.operatingSystem),
      (
        "Measured peak",
        Numerals.count(machine.peakFlopsPerSecond) + "FLOP/s" + (machine.peakInstruction.map { ", " + $0 } ?? "")
      ),
      ("Measured bandwidth", Numerals.count(machine.bytesPerSecond) + "B/s"),
      (
        "Dense libraries",
        machine.denseLibraries.isEmpty
          ? "no BLAS found: the own dense product is the baseline" : Numerals.list(machine.denseLibraries)
      ),
      ("Energy counter", machine.energyReadable ? "readable" : "not readable: no joules"),
    ]
      + (machine.gpuEnergyReadable.map { [("GPU's energy counter", $0 ? "readable" : "not readable: no joules")] } ?? [])
      + (machine.kernelCheck.map { [("Check of kernels", $0)] } ?? [])
      + [
        ("Commit", survey.commit), ("Started", survey.time),
      ]
  }

  private var corpus: [(String, String)] {
    let corpus = survey.corpus
    return [
      ("Corpus", corpus.name),
      (
        "Text",
        "\(Numerals.bytes(Double(corpus.trainingBytes))) to train on, \(Numerals.bytes(Double(corpus.validationBytes))) to validate on"
      ),
      ("Tokens", tokens),
      ("Unigram entropy", "\(Numerals.loss(corpus.unigramEntropy)) nats per token, what token frequencies alone give"),
      (
        "Entropy rate of the source",
        corpus.entropyRate.map { "\(Numerals.loss($0)) nats per token, which no model goes below on average" }
          ?? "not known"
      ),
    ]
  }

  private var tokens: String {
    let tokenizer = survey.corpus.tokenizer ?? "bytes"
    guard let ratio = survey.corpus.bytesPerToken, ratio != 1 else { return tokenizer }
    return "\(tokenizer), \(Numerals.significant(ratio, 3)) bytes each"
  }

  private var configuration: [(String, String)] {
    var facts = [
      ("Survey, model", "\(survey.preset), \(survey.modelPreset)"),
      (
        "Training",
        survey.equality.effort(
          "\(Numerals.grouped(survey.steps)) steps of \(Numerals.grouped(survey.tokensPerStep)) tokens")
      ),
      ("Tokens per parameter", tokensPerParameter),
    ]
    if let run = (findings.dense?.runs ?? findings.recorded.runs).compactMap(\.record).first {
      let c = run.configuration
      let a = c.architecture
      facts += [
        (
          "Architecture",
          "\(a.layers) layers, width \(a.hiddenSize), MLP \(a.intermediateSize), \(a.heads) heads (\(a.keyValueHeads) key-value), vocabulary \(a.vocabularySize)\(a.tiedEmbeddings ? ", tied" : "")"
        ),
        ("Batch", "\(c.batch) sequences of \(c.sequence) tokens, tokenizer \(c.tokenizer)"),
        (
          "Optimiser",
          "AdamW, learning rate \(c.learningRate), \(c.warmupSteps) warm-up steps\(survey.equality == .steps ? "" : " of dense's \(c.steps), and the same fraction of other runs"), cosine to \(c.finalLearningRateFraction) of it, β \(c.beta1) and \(c.beta2), weight decay \(c.weightDecay), clip \(c.clip)"
        ),
        (
          "Evaluation",
          "\(c.evaluations.map { "\($0) times, at the same fractions of every run," } ?? "every \(c.evaluateEvery) steps") on \(c.evaluationSequences) sequences, always the same"
        ),
        ("Work per dense step", Numerals.count(run.flopsPerStep) + "FLOP"),
      ]
    }
    return facts
  }

  private var tokensPerParameter: String {
    guard let ratio = findings.tokensPerParameter else { return "not known" }
    let text = Numerals.significant(ratio, 3)
    return ratio < 20 ? "\(text): early curve, the order may change with longer training" : text
  }

  private var method: String {
    Markup.paragraph(
      "Each verified product was checked against the definition of its structure before it was timed; the worst error is given as a fraction of the bound derived for it. Times are medians over repeats, ± the median absolute deviation. The dense product was timed in turn with the structure's, in the same run, by the best dense library found. The prediction is the roofline: the larger of operations over the measured peak and bytes over the measured bandwidth."
    )
      + Markup.paragraph(
        "Every model is trained on the same text in the same order for a given seed\(survey.equality == .steps ? ", with the same number of steps" : "; a longer run goes further in it"). Training time is the sum of the step times, without evaluation, logging and checkpoints. This report reads recorded files only and measures nothing."
      )
  }

  private var reproduce: String {
    let command = survey.argv.map(Self.shellWord).joined(separator: " ")
    let again = "filigree report " + Self.shellWord(findings.recorded.directory.lastPathComponent)
    return "<pre><code>\(Markup.escaped(command))</code></pre>\n"
      + "<p>The same command again continues an unfinished survey. This page is drawn anew from the recorded files by \(Markup.code(again)).</p>\n"
  }

  private func facts(_ facts: [(String, String)]) -> String {
    let items = facts.map { "<dt>\(Markup.escaped($0.0))</dt><dd>\(Markup.escaped($0.1))</dd>" }
    return "<dl class=\"facts\">\n\(items.joined(separator: "\n"))\n</dl>\n"
  }

  /// As a POSIX shell must be given the word.
  static func shellWord(_ word: String) -> String {
    let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:,+@%")
    if !word.isEmpty && word.allSatisfy(plain.contains) { return word }
    return "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
  }
}
