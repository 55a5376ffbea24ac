import Arrays
import Foundation
import Records
import Structures
import Testing

@testable import Training

/// A run survives anything, and its losses are the same bits whatever happened on the way.
@Suite struct TrainerTests {
  @Test(
    "Stopped between any two steps and continued, a run has the uninterrupted losses and numbers",
    arguments: ["dense", "csr", "bsr-16", "lowrank-8"])
  func interruption(_ structure: String) throws {
    let whole = try Trial(structure), pieces = try Trial(structure)
    #expect(try whole.run() == .finished)
    var stops = 0
    while try pieces.run(stopAfter: 1 + stops % 4) == .interrupted { stops += 1 }
    #expect(stops >= 3)
    #expect(try pieces.losses == whole.losses)
    #expect(try pieces.finalModel == whole.finalModel)
  }

  @Test("Died in the middle of a step and continued, a run has the uninterrupted losses", arguments: [1, 4, 7, 11])
  func death(_ step: Int) throws {
    let whole = try Trial("bsr-16"), broken = try Trial("bsr-16")
    _ = try whole.run()
    struct Death: Error {}
    #expect(throws: Death.self) {
      try broken.run { metric in if metric.step == step, metric.loss != nil { throw Death() } }
    }
    // What a kill can leave behind: a line cut in the middle.
    let file = try FileHandle(forWritingTo: broken.folder.metrics)
    try file.seekToEnd()
    try file.write(contentsOf: Data(#"{"step":9"#.utf8))
    try file.close()
    #expect(try broken.run() == .finished)
    #expect(try broken.losses == whole.losses)
    #expect(try broken.finalModel == whole.finalModel)
  }

  @Test("The losses have the same bits with 1, 2 and 7 threads", arguments: ["dense", "monarch-4"])
  func threads(_ structure: String) throws {
    let one = try Trial(structure, threads: 1)
    _ = try one.run()
    for threads in [2, 7] {
      let other = try Trial(structure, threads: threads)
      _ = try other.run()
      #expect(try other.losses == one.losses)
    }
  }

  @Test(
    "Training lowers the validation loss below the unigram entropy for every family",
    arguments: Catalog.all.map { $0.card.family })
  func learning(_ family: String) throws {
    let trial = try Trial(family, steps: 250)
    _ = try trial.run()
    let losses = try trial.metrics.compactMap(\.validationLoss)
    #expect(try #require(losses.last) < trial.corpus.unigramEntropy)
    #expect(try #require(losses.last) < losses[0])
  }

  @Test("A finished run is not touched again")
  func finished() throws {
    let trial = try Trial("dense")
    _ = try trial.run()
    let before = try Data(contentsOf: trial.folder.metrics)
    #expect(try trial.run { _ in Issue.record("a step was taken") } == .finished)
    #expect(try Data(contentsOf: trial.folder.metrics) == before)
  }

  @Test("A run directory of another configuration, seed or text is refused by name")
  func otherConfiguration() throws {
    let trial = try Trial("dense")
    _ = try trial.run(stopAfter: 2)
    for (change, word) in [("learningRate", "learningRate"), ("seed", "seed"), ("text", "dataChecksum")] {
      let other = try Trial("dense", changing: change, folder: trial.folder)
      let refusal = #expect(throws: Refusal.self) { _ = try other.run() }
      #expect(refusal?.kind == .badInput && refusal?.sentence.contains(word) == true, "\(refusal?.sentence ?? "")")
    }
  }

  @Test("A run goes on where its text lies elsewhere and checkpoints are kept otherwise, to the same bits")
  func moved() throws {
    let trial = try Trial("dense"), whole = try Trial("dense")
    _ = try trial.run(stopAfter: 7)
    let other = try Trial("dense", folder: trial.folder) {
      ($0.data, $0.checkpointEvery, $0.keepCheckpoints) = (["elsewhere.txt"], 3, 5)
    }
    #expect(try other.run() == .finished)
    _ = try whole.run()
    #expect(try other.losses == whole.losses)
    #expect(try other.finalModel == whole.finalModel)
  }

  @Test("A loss that is not a number stops the run, names the step and keeps the last good checkpoint")
  func explosion() throws {
    let trial = try Trial("dense", learningRate: 1e30)
    let refusal = #expect(throws: Refusal.self) { _ = try trial.run() }
    let sentence = refusal?.sentence ?? ""
    #expect(refusal?.kind == .failed && sentence.contains("at step") && sentence.contains("none is kept from before"))
    #expect(sentence.contains("layer 0") || sentence.contains("the weights") || sentence.contains("the gradient of"))
  }

  @Test("A loss that explodes after a checkpoint names the step, the layer and the checkpoint")
  func laterExplosion() throws {
    // At a peak that grows for a hundred steps the first ten are harmless.
    let trial = try Trial("dense", steps: 400, learningRate: 1e3) { $0.warmupSteps = 300_000 }
    _ = try trial.run(stopAfter: 5)
    let other = try Trial("dense", steps: 400, learningRate: 1e30, folder: trial.folder) { $0.warmupSteps = 300_000 }
    try other.adopt(trial.folder)
    let refusal = #expect(throws: Refusal.self) { _ = try other.run() }
    let sentence = refusal?.sentence ?? ""
    #expect(refusal?.kind == .failed && sentence.contains("checkpoints/000005"), "\(sentence)")
  }
}
