import Arrays
import Checkpoints
import Devices
import Foundation
import Measuring
import Model
import Records

/// Trains one model and leaves a run directory that survives anything: killed at any moment, the same call continues from
/// the newest checkpoint, and the losses are bit for bit those of a run that was never interrupted.
package final class Trainer {
  package let record: RunRecord
  package let folder: RunFolder
  private let configuration: TrainingConfiguration
  private let corpus: Corpus
  private let device: any Device
  private let model: Mistral
  private let optimizer: Optimizer
  private let schedule: LearningRateSchedule
  private let batches: Batches
  private let validation: Batches
  private var step = 0
  /// Without it the present size stands in for the peak: between steps all buffers are still there.
  private var peakIsReset = false
  /// Resident bytes before the model was made: the program, the text, what earlier work in this process left.
  private let residentBefore = ProcessMemory.current()

  package enum Outcome: Sendable { case finished, interrupted }

  /// What is safe on the disk beside the numbers.
  private struct State: Codable {
    var tokens: Int
    var dataChecksum: String
    var structure: String
  }

  package init(_ record: RunRecord, plan: MistralPlan, corpus: Corpus, folder: URL, on device: any Device) throws {
    self.record = record
    self.corpus = corpus
    self.device = device
    let c = record.configuration
    configuration = c
    let needed = plan.trainingBytes(batch: c.batch, sequence: c.sequence)
    guard needed <= record.machine.memoryBytes else {
      throw Refusal.badInput(
        "training needs \(needed) bytes of memory and this machine has \(record.machine.memoryBytes); use a smaller "
          + "model, batch or sequence")
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
    model = try Mistral(plan, batch: c.batch, sequence: c.sequence, on: device)
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
      ("the evaluation interval", c.evaluateEvery),
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
  }

  /// Runs to the end, or until `interrupted` says so between two steps, after a checkpoint.
  package func run(interrupted: () -> Bool, progress: (MetricRecord) throws -> Void) throws -> Outcome {
    let claim = try folder.open(record)
    defer { withExtendedLifetime(claim) {} }
    if folder.isDone { return .finished }
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
    if !resumed { try note(try evaluate()) }
    while step < configuration.steps {
      try note(try train())
      if step.isMultiple(of: configuration.evaluateEvery) || step == configuration.steps { try note(try evaluate()) }
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

  private var tokensSoFar: Int { step * configuration.batch * configuration.sequence }

  private func train() throws -> MetricRecord {
    let windows = try corpus.training.windows(at: batches.starts(step: step), sequence: configuration.sequence)
    let rate = schedule.rate(step: step)
    var energy = EnergyCounter.open()
    energy?.mark()
    let start = Clock.seconds()
    let loss = try model.lossAndGradients(inputs: windows.inputs, targets: windows.targets)
    let norm = try optimizer.step(count: step + 1, learningRate: rate)
    try device.synchronize()
    let seconds = Clock.seconds() - start
    step += 1
    guard loss.isFinite, norm.isFinite else {
      throw explosion("the loss at step \(step) is \(loss) and the gradient's norm \(norm)")
    }
    return MetricRecord(
      step: step, tokens: tokensSoFar, loss: loss, learningRate: rate, gradientNorm: norm, stepSeconds: seconds,
      tokensPerSecond: Double(configuration.batch * configuration.sequence) / seconds,
      joules: energy?.joules(), peakBytes: peakBytes)
  }

  private func explosion(_ what: String) -> Refusal {
    let good = CheckpointDirectory.newest(in: folder.checkpoints)?.path ?? "none was written yet"
    return .failed("\(what); lower --learning-rate or the initializer range (last good checkpoint: \(good))")
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
    guard loss.isFinite else { throw explosion("the validation loss at step \(step) is \(loss)") }
    return MetricRecord(step: step, tokens: tokensSoFar, validationLoss: loss)
  }

  private func save() throws {
    let file = ModelFile(model: model, device: device)
    _ = try CheckpointDirectory.save(
      step: step,
      payload: State(tokens: tokensSoFar, dataChecksum: configuration.dataChecksum, structure: model.structureLabel),
      model: try file.values(), optimizer: try file.moments(of: optimizer), in: folder.checkpoints,
      keep: configuration.keepCheckpoints)
  }

  /// Loads the newest checkpoint; false when there is none.
  private func resume() throws -> Bool {
    guard let newest = CheckpointDirectory.newest(in: folder.checkpoints) else { return false }
    let checkpoint: Checkpoint<State>
    do {
      checkpoint = try CheckpointDirectory.load(newest, as: State.self)
    } catch let refusal as Refusal {
      let older = CheckpointDirectory.all(in: folder.checkpoints).dropFirst().first?.url.lastPathComponent
      throw Refusal(
        refusal.kind,
        refusal.sentence
          + " (remove \(newest.path) to continue from \(older.map { "checkpoint \($0)" } ?? "the start"))")
    }
    guard checkpoint.payload.dataChecksum == configuration.dataChecksum else {
      throw Refusal.badInput("\(newest.path) was trained on another text than the one given now; give the same --data")
    }
    guard checkpoint.step <= configuration.steps else {
      throw Refusal.badInput("\(newest.path) is beyond the \(configuration.steps) steps of this run")
    }
    let file = ModelFile(model: model, device: device)
    try file.read(checkpoint.model)
    try file.readMoments(checkpoint.optimizer, optimizer)
    step = checkpoint.step
    return true
  }
}

extension MetricRecord {
  /// What TensorBoard shows.
  var scalars: [(String, Double)] {
    let all: [(String, Double?)] = [
      ("loss/train", loss), ("loss/validation", validationLoss), ("learning_rate", learningRate),
      ("gradient_norm", gradientNorm), ("step_seconds", stepSeconds), ("throughput(tps)", tokensPerSecond),
    ]
    return all.compactMap { name, value in value.map { (name, $0) } }
  }
}
