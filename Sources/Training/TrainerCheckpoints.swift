import Arrays
import Checkpoints
import Foundation
import Model
import Records
import Sparsifying

/// What is safe on the disk beside the numbers.
struct TrainerState: Codable {
  var tokens: Int
  var dataChecksum: String
  var structure: String
  var lowestLoss: Double?
}

/// All of a run's state goes through a checkpoint: values, moments, patterns, guides and masters. What chance decides is a
/// function of the seed and the step, so that the step says the rest.
extension Trainer {
  func save() throws {
    let file = ModelFile(model: model, device: device)
    _ = try CheckpointDirectory.save(
      step: step,
      payload: TrainerState(
        tokens: tokensSoFar, dataChecksum: configuration.dataChecksum, structure: model.structureLabel,
        lowestLoss: lowestLoss),
      model: try file.values(), optimizer: try file.moments(of: optimizer), in: folder.checkpoints,
      keep: configuration.keepCheckpoints)
  }

  /// Loads the newest checkpoint; false when there is none.
  func resume() throws -> Bool {
    guard let newest = CheckpointDirectory.newest(in: folder.checkpoints) else { return false }
    let checkpoint: Checkpoint<TrainerState>
    do {
      checkpoint = try CheckpointDirectory.load(newest, as: TrainerState.self)
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
    step = checkpoint.step
    lowestLoss = checkpoint.payload.lowestLoss
    if let sparsifier {
      try takePatterns(sparsifier, checkpoint)
      model.parameters.setCompanion(try sparsifier.makeCompanion(for: model.plan, isDrawn: false))
    }
    if let guide, guide.share(step: step) > 0 {
      let companion = try guide.makeCompanion(model, isDrawn: false, on: device)
      model.parameters.setCompanion(companion)
      for tensor in companion?.tensors ?? [] { guideSteps[tensor.name] = guide.count(tensor.name, before: step) }
    }
    let file = ModelFile(model: model, device: device)
    try file.read(checkpoint.model)
    try file.readMoments(checkpoint.optimizer, optimizer)
    return true
  }

  /// The model with the patterns of the checkpoint.
  private func takePatterns(_ sparsifier: Sparsifier, _ checkpoint: Checkpoint<TrainerState>) throws {
    let arrays = try ModelFile.patterns(in: checkpoint.model, of: model.plan.mlpLinears.map(\.name))
    let plan = model.plan.replacing(try sparsifier.structures(arrays))
    let count = plan.parameterCount
    model = Mistral(
      model, plan: plan,
      parameters: Parameters(
        plan.tensors, values: try device.makeVector(count: count), gradients: try device.makeVector(count: count)))
    optimizer = optimizer.carried(
      to: model, first: try device.makeVector(count: count), second: try device.makeVector(count: count))
  }
}
