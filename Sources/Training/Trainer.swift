import Arrays
import Checkpoints
import Devices
import Foundation
import Measuring
import Model
import Records
import Sparsifying

/// Trains one model and leaves a run directory that survives anything: killed at any moment, the same call continues from
/// the newest checkpoint, and the losses are bit for bit those of a run that was never interrupted.
package final class Trainer {
  package let record: RunRecord
  package let folder: RunFolder
  let configuration: TrainingConfiguration
  private let corpus: Corpus
  let device: any Device
  var model: Mistral
  var optimizer: Optimizer
  private let schedule: LearningRateSchedule
  private let batches: Batches
  private let validation: Batches
  let sparsifier: Sparsifier?
  let guide: SelfGuide?
  private let cost: RunCost
  private var energy: EnergyMeter
  var step = 0
  /// Steps in which each matrix had its guide.
  var guideSteps: [String: Int] = [:]
  /// Of the training losses so far.
  var lowestLoss: Double?
  /// Without it the present size stands in for the peak: between steps all buffers are still there.
  private var peakIsReset = false
  /// Resident bytes before the model was made: the program, the text, what earlier work in this process left.
  private let residentBefore = ProcessMemory.current()

  /// After an error: whether it was the loss or the gradient that stopped the run.
  package private(set) var hasDiverged = false

  package enum Outcome: Sendable { case finished, interrupted }

  package init(_ record: RunRecord, plan: MistralPlan, corpus: Corpus, folder: URL, on device: any Device) throws {
    self.record = record
    self.corpus = corpus
    self.device = device
    energy = EnergyMeter(device)
    let c = record.configuration
    configuration = c
    cost = try RunCost(c, target: plan, seed: record.seed)
    let start = try RunPlan.start(of: plan, c, record.seed)
    guard !record.exceedsMemory else {
      throw Refusal.badInput(
        "training needs \(record.plannedBytes ?? 0) bytes of memory beside the \(record.memory?.process ?? 0) that program and "
          + "text hold, and this machine has \(record.machine.memoryBytes); use a smaller model, batch or sequence")
    }
    guard corpus.largestToken < c.architecture.vocabularySize else {
      throw Refusal.badInput(
        "the text has the token \(corpus.largestToken) and the vocabulary is \(c.architecture.vocabularySize); "
          + "raise --vocabulary")
    }
    self.folder = RunFolder(folder)
    batches = try Batches(tokens: corpus.training.count, sequence: c.sequence, batch: c.batch, seed: record.seed)
    validation = try Batches(tokens: corpus.validation.count, sequence: c.sequence, batch: 1, seed: 0)
    schedule = LearningRateSchedule(
      peak: c.learningRate, warmup: c.warmupSteps, steps: c.steps, finalFraction: c.finalLearningRateFraction)
    sparsifier = try c.method.map {
      try Sparsifier($0, target: plan, steps: c.steps, seed: record.seed, on: device)
    }
    guide = c.selfGuided == true ? SelfGuide(steps: c.steps, seed: record.seed) : nil
    model = try Mistral(start, batch: c.batch, sequence: c.sequence, on: device)
    optimizer = try Optimizer(
      model,
      Optimizer.Settings(
        beta1: c.beta1, beta2: c.beta2, epsilon: c.epsilon, weightDecay: c.weightDecay, clip: c.clip),
      on: device)
  }

  /// Refuses numbers that no run can have, before anything is allocated.
  static func check(_ c: TrainingConfiguration) throws {
    let counts = [
      ("--steps", c.steps), ("--batch", c.batch), ("--sequence", c.sequence),
      ("the evaluation interval", c.evaluateEvery), ("the number of evaluations", c.evaluations ?? 1),
      ("the number of evaluation sequences", c.evaluationSequences), ("the checkpoint interval", c.checkpointEvery),
      ("the number of checkpoints kept", c.keepCheckpoints),
    ]
    for (name, count) in counts where !(1...1 << 30).contains(count) {
      throw Refusal.badInput("\(name) is \(count); give a whole number from 1")
    }
    guard c.learningRate > 0, c.learningRate.isFinite, c.warmupSteps >= 0, (0...1).contains(c.finalLearningRateFraction)
    else {
      throw Refusal.badInput("the learning rate \(c.learningRate) or its schedule cannot be used; give a rate above 0")
    }
    guard (0..<1).contains(c.beta1), (0..<1).contains(c.beta2), c.epsilon > 0, c.weightDecay >= 0, c.clip > 0 else {
      throw Refusal.badInput("the optimiser's settings are out of range: betas below 1, epsilon and clip above 0")
    }
    guard c.sequence <= 1 << 20, c.batch <= (1 << 26) / c.sequence else {
      throw Refusal.badInput("a batch of \(c.batch) sequences of \(c.sequence) tokens is too large to plan for")
    }
    if let method = c.method { try check(method, steps: c.steps) }
  }

  private static func check(_ m: TrainingConfiguration.Method, steps: Int) throws {
    let (start, stop) = (m.start ?? 0, m.stop ?? 1)
    guard start >= 0, start < stop, stop <= 1, min(Int(stop * Double(steps)), steps - 1) > Int(start * Double(steps))
    else {
      throw Refusal.badInput(
        "\(m.name) has no step to work at from \(start) to \(stop) of \(steps) steps; give more --steps, or other ends")
    }
    guard (0...1).contains(m.dropFraction ?? 0), (m.maskedDecay ?? 0) >= 0, (m.maskedDecay ?? 0).isFinite,
      (1...1 << 30).contains(m.updates ?? 1), (1...1 << 30).contains(m.refreshEvery ?? 1)
    else {
      throw Refusal.badInput("a number of \(m.name) is out of range: a fraction is from 0 to 1, a count from 1")
    }
  }

  /// Runs to the end, or until `interrupted` says so between two steps, after a checkpoint.
  ///
  /// - Parameter checkingEnd: of a run that is finished already the last checkpoint is read, and refused where it is
  ///   not whole.
  package func run(
    checkingEnd: Bool = false, interrupted: () -> Bool, progress: (MetricRecord) throws -> Void
  ) throws -> Outcome {
    let claim = try folder.open(record)
    defer { withExtendedLifetime(claim) {} }
    if folder.isDone {
      if checkingEnd { try folder.checkFinished(steps: configuration.steps) }
      return .finished
    }
    let resumed = try resume()
    let metrics = try JSONLinesWriter<MetricRecord>(folder.metrics)
    try metrics.truncate { $0.step <= step && (resumed || $0.step < 0) }
    let events = try TensorBoardWriter(folder: folder.url, resumingAfter: resumed ? step : nil)
    func note(_ metric: MetricRecord) throws {
      try metrics.append(metric)
      try events.write(metric.scalars, step: metric.step)
      try progress(metric)
    }
    peakIsReset = ProcessMemory.resetPeak()
    if !resumed {
      try begin()
      try note(try evaluate())
    }
    while step < configuration.steps {
      let trained = try train()
      try note(trained.metric)
      if let change = trained.change {
        try note(
          MetricRecord(
            step: step, tokens: tokensSoFar, changed: change.changed, effectiveWidth: change.effectiveWidth,
            parameters: change.parameters))
      }
      if configuration.isEvaluated(after: step) { try note(try evaluate()) }
      let stopping = interrupted() && step < configuration.steps
      if stopping || step.isMultiple(of: configuration.checkpointEvery) || step == configuration.steps {
        try metrics.sync()
        try save()
      }
      if stopping { return .interrupted }
    }
    _ = try AtomicFile.write(Array("\(step) steps\n".utf8), to: folder.done)
    return .finished
  }

  /// The next step of a run that leaves nothing on disk; its seconds.
  func rehearse() throws -> Double {
    if step == 0 { try begin() }
    return try train().metric.stepSeconds ?? 0
  }

  var tokensSoFar: Int { step * configuration.batch * configuration.sequence }

  /// What stands beside the model, and the first pattern of a method that chooses it by the first weights.
  private func begin() throws {
    if let sparsifier {
      model.parameters.setCompanion(try sparsifier.makeCompanion(for: model.plan, isDrawn: true))
      _ = try move()
    }
    if let guide {
      model.parameters.setCompanion(try guide.makeCompanion(model, isDrawn: true, on: device))
      try guide.settle(model, after: 0, on: device)
    }
  }

  /// The change of patterns that follows `step` steps, if one does.
  private func move() throws -> Sparsifier.Change? {
    var trained = Sparsifier.Trained(model: model, first: optimizer.first, second: optimizer.second)
    guard let change = try sparsifier?.update(&trained, after: step) else { return nil }
    model = trained.model
    optimizer = optimizer.carried(to: model, first: trained.first, second: trained.second)
    return change
  }

  private func train() throws -> (metric: MetricRecord, change: Sparsifier.Change?) {
    let windows = try corpus.training.windows(at: batches.starts(step: step), sequence: configuration.sequence)
    let rate = schedule.rate(step: step)
    let flops = cost.flops(step: step)
    energy.mark()
    let start = Clock.seconds()
    try sparsifier?.prepare(model, step: step)
    try guide?.prepare(model, step: step, on: device)
    let loss = try model.lossAndGradients(inputs: windows.inputs, targets: windows.targets)
    guard loss.isFinite else {
      throw try explosion("the loss at step \(step + 1) is not a finite number", weightsOf: step)
    }
    try sparsifier?.decayMasked(model)
    if let companion = model.parameters.companion, companion.role == .guide {
      for tensor in companion.tensors where companion.isActive(tensor.name) {
        guideSteps[tensor.name, default: 0] += 1
      }
    }
    let counts = guideSteps
    let norm = try optimizer.step(count: step + 1, learningRate: rate, guideCount: { counts[$0] ?? 1 })
    guard norm.isFinite else {
      throw try explosion("the gradient's norm at step \(step + 1) is not a finite number", weightsOf: step)
    }
    try sparsifier?.gather(model)
    step += 1
    let change = try move()
    try guide?.settle(model, after: step, on: device)
    try device.synchronize()
    let seconds = Clock.seconds() - start
    let spent = energy.read()
    try refuseExplosion(loss, "the loss", weightsOf: step - 1)
    lowestLoss = min(lowestLoss ?? loss, loss)
    let metric = MetricRecord(
      step: step, tokens: tokensSoFar, loss: loss, learningRate: rate, gradientNorm: norm, stepSeconds: seconds,
      tokensPerSecond: Double(configuration.batch * configuration.sequence) / seconds,
      joules: spent.joules, gpuJoules: spent.gpuJoules, peakBytes: peakBytes, flops: flops)
    return (metric, change)
  }

  /// Four times what a model that knows nothing loses above the lowest: no batch is that much harder than another.
  private func refuseExplosion(_ loss: Double, _ what: String, weightsOf found: Int) throws {
    guard let lowestLoss, loss > lowestLoss + 4 * log(Double(configuration.architecture.vocabularySize)) else { return }
    hasDiverged = true
    throw Refusal.failed(
      "\(what) exploded from \(rounded(lowestLoss)) to \(rounded(loss)) at step \(step), with "
        + "\(try model.largestOutput()); \(advice(weightsOf: found))")
  }

  private func rounded(_ loss: Double) -> Double { (loss * 1e4).rounded() / 1e4 }

  /// - Parameter step: the weights after it are those that were found bad; a checkpoint of an earlier step is one whose
  ///   weights had a loss like any other.
  private func advice(weightsOf step: Int) -> String {
    let good = CheckpointDirectory.all(in: folder.checkpoints).first { $0.step < step }
    return "lower --learning-rate or the initializer range "
      + "(last good checkpoint: \(good?.url.path ?? "none is kept from before"))"
  }

  private func explosion(_ what: String, weightsOf step: Int) throws -> Refusal {
    hasDiverged = true
    let place = try model.firstFault().map { ", first in \($0)" } ?? ""
    return .failed("\(what)\(place); \(advice(weightsOf: step))")
  }

  /// The most memory so far beyond what the process held before the model was made.
  private var peakBytes: Int? {
    guard let before = residentBefore, let peak = peakIsReset ? ProcessMemory.peak() : ProcessMemory.current() else {
      return nil
    }
    return max(0, peak - before)
  }

  /// The mean loss over the same windows of the validation text each time.
  private func evaluate() throws -> MetricRecord {
    let starts = validation.evaluationStarts(count: configuration.evaluationSequences)
    var sum = 0.0, tokens = 0
    for first in stride(from: 0, to: starts.count, by: configuration.batch) {
      let part = Array(starts[first..<min(starts.count, first + configuration.batch)])
      var windows = try corpus.validation.windows(at: part, sequence: configuration.sequence)
      // A last batch that is not full is filled with rows that do not count.
      let missing = (configuration.batch - part.count) * configuration.sequence
      windows.inputs += [Int32](repeating: 0, count: missing)
      windows.targets += [Int32](repeating: -1, count: missing)
      let loss = try model.loss(inputs: windows.inputs, targets: windows.targets)
      sum += loss.sum
      tokens += loss.tokens
    }
    let loss = sum / Double(tokens)
    guard loss.isFinite else {
      throw try explosion("the validation loss at step \(step) is not a finite number", weightsOf: step)
    }
    try refuseExplosion(loss, "the validation loss", weightsOf: step)
    return MetricRecord(step: step, tokens: tokensSoFar, validationLoss: loss)
  }
}

extension MetricRecord {
  /// What TensorBoard shows.
  var scalars: [(String, Double)] {
    let all: [(String, Double?)] = [
      ("loss/train", loss), ("loss/validation", validationLoss), ("learning_rate", learningRate),
      ("gradient_norm", gradientNorm), ("step_seconds", stepSeconds), ("throughput(tps)", tokensPerSecond),
      ("pattern/changed", changed.map(Double.init)), ("pattern/effective_width", effectiveWidth.map(Double.init)),
      ("pattern/parameters", parameters.map(Double.init)),
    ]
    return all.compactMap { name, value in value.map { (name, $0) } }
  }
}
