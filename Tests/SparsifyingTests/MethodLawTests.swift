import Arrays
import Devices
import Model
import Records
import Structures
import Testing

@testable import Sparsifying

/// Laws of every method over every structure whose pattern moves.
@Suite struct MethodLawTests {
  struct Subject: Sendable, CustomTestStringConvertible {
    let label: String
    let settings: TrainingConfiguration.Method
    var testDescription: String { "\(label) by \(settings.name)" }
  }

  static let steps = 40

  static let subjects: [Subject] =
    Methods.all.flatMap { method in
      ["csr", "fanin", "nm-2:4", "nm-2:4t", "bsr-16", "bsr-8x16"].compactMap { label in
        var settings = method.settings(for: label)
        if settings.refreshEvery != nil { settings.refreshEvery = 5 }
        guard let plan = try? plan(label), (try? Sparsifier.sites(of: plan, for: method)) != nil else { return nil }
        return Subject(label: label, settings: settings)
      }
    }

  static func plan(
    _ structure: String, density: Double = 0.4, masks: GatedMLP.Masks = .shared
  ) throws -> MistralPlan {
    try MistralPlan(
      Architecture(
        hiddenSize: 64, intermediateSize: 96, layers: 2, heads: 1, keyValueHeads: 1, headDimension: 16,
        vocabularySize: 32, initializerRange: 0.1),
      structure: structure, density: structure == "dense" ? 1 : density, seed: 3, options: MLPOptions(masks: masks))
  }

  /// A model in training, its numbers random, and what its sparsifier needs.
  struct Trial {
    let device: CPUDevice
    let sparsifier: Sparsifier
    var trained: Sparsifier.Trained

    init(_ subject: Subject, seed: UInt64 = 5, density: Double = 0.4) throws {
      device = try CPUDevice(threads: 2)
      let target = try MethodLawTests.plan(subject.label, density: density)
      sparsifier = try Sparsifier(
        subject.settings, target: target, steps: MethodLawTests.steps, seed: seed, on: device)
      let start = sparsifier.method.beginsDense ? try MethodLawTests.plan("dense") : target
      let model = try Mistral(start, batch: 1, sequence: 16, on: device)
      model.parameters.setCompanion(try sparsifier.makeCompanion(for: start, isDrawn: true))
      var generator = SeededGenerator(seed: 7)
      let moments = (0..<2).map { _ in (0..<start.parameterCount).map { _ in Float(generator.normal()) } }
      trained = Sparsifier.Trained(
        model: model, first: try device.makeVector(moments[0]), second: try device.makeVector(moments[1]))
    }

    /// All numbers of one matrix by their places in the dense one; nil where nothing is stored.
    func entries(_ linear: Linear, _ vector: Vector) throws -> [Float?] {
      var all = [Float?](repeating: nil, count: linear.structure.shape.count)
      let places =
        linear.structure is Dense
        ? Array(0..<Int32(all.count)) : try Sites(of: linear.structure).entries(of: linear.structure)
      for (place, number) in zip(places, try device.numbers(vector[linear.range])) { all[Int(place)] = number }
      return all
    }

    func snapshot() throws -> [[[Float?]]] {
      try trained.model.plan.linears.map { linear in
        try [trained.model.parameters.values, trained.first, trained.second].map { try entries(linear, $0) }
      }
    }

    mutating func step(_ step: Int) throws -> Sparsifier.Change? {
      try sparsifier.prepare(trained.model, step: step - 1)
      _ = try trained.model.lossAndGradients(
        inputs: (0..<16).map { Int32(($0 * 7 + step) % 32) }, targets: (0..<16).map { Int32(($0 * 5 + step) % 32) })
      device.clear(trained.model.parameters.gradients)
      if let master = trained.model.parameters.companion, master.role == .master {
        var generator = SeededGenerator(seed: UInt64(step))
        let numbers = (0..<master.values.count).map { _ in Float(generator.normal()) }
        numbers.withUnsafeBufferPointer { device.write($0, to: master.values) }
      }
      return try sparsifier.update(&trained, after: step)
    }
  }

  @Test("All methods and structures that fit each other are here")
  func complete() {
    #expect(Set(Self.subjects.map(\.settings.name)) == Set(Methods.all.map { $0.card.name }))
    #expect(Set(Self.subjects.map(\.label)) == ["csr", "fanin", "nm-2:4", "nm-2:4t", "bsr-16", "bsr-8x16"])
    for method in Methods.all {
      #expect(!method.card.summary.isEmpty && !method.card.source.isEmpty)
    }
  }

  @Test("What stays keeps its bits, what comes is zero, and everything else is as it was", arguments: subjects)
  func carried(_ subject: Subject) throws {
    var trial = try Trial(subject)
    if let first = try trial.sparsifier.update(&trial.trained, after: 0) { #expect(first.parameters > 0) }
    var moved = 0
    for step in 1..<Self.steps {
      let before = try trial.snapshot()
      let norms = try trial.trained.model.plan.tensors.filter { $0.name.contains("norm") }
        .map { try trial.device.numbers(trial.trained.first[$0.range]) }
      guard let change = try trial.step(step) else { continue }
      let after = try trial.snapshot()
      var newcomers = 0, leavers = 0
      for (old, new) in zip(before, after) {
        for place in old[0].indices {
          switch (old[0][place], new[0][place]) {
          case (nil, nil): continue
          case (_?, nil): leavers += 1
          case (nil, _?):
            newcomers += 1
            // A master's weights were there all the time.
            if subject.settings.name != "sr-ste" { #expect(new[0][place] == 0) }
            #expect(new[1][place] == 0 && new[2][place] == 0)
          case (_?, _?):
            for vector in subject.settings.name == "sr-ste" ? 1..<3 : 0..<3 {
              #expect(old[vector][place]?.bitPattern == new[vector][place]?.bitPattern)
            }
          }
        }
      }
      let kept = try trial.trained.model.plan.tensors.filter { $0.name.contains("norm") }
        .map { try trial.device.numbers(trial.trained.first[$0.range]) }
      #expect(kept == norms)
      #expect(change.changed == max(newcomers, leavers))
      #expect(change.effectiveWidth == trial.trained.model.plan.effectiveWidth)
      moved += change.changed
    }
    #expect(moved > 0)
  }

  @Test(
    "The number of weights is the schedule's in every group at every step; gate and up share their pattern",
    arguments: subjects)
  func counts(_ subject: Subject) throws {
    var trial = try Trial(subject)
    _ = try trial.sparsifier.update(&trial.trained, after: 0)
    let target = try Self.plan(subject.label)
    let sites = try Sparsifier.sites(of: target, for: type(of: trial.sparsifier.method))
    for step in 0..<Self.steps {
      if step > 0 { _ = try trial.step(step) }
      for layer in trial.trained.model.plan.layers {
        #expect(layer.mlp.gate.structure.pattern == layer.mlp.up.structure.pattern)
        for linear in layer.mlp.linears {
          let site = try #require(sites[linear.name])
          let places = site.places(of: linear.structure)
          let counts = places.reduce(into: [Int](repeating: 0, count: site.groupCount)) { $0[$1 / site.groupSize] += 1 }
          let wanted = trial.sparsifier.method.count(in: site, after: step)
          #expect(counts.allSatisfy { $0 == wanted })
          #expect(linear.structure.count == places.count * site.unitSize)
          if site.covers {
            #expect(Set(places.map { $0 / site.columns }).count == site.rows)
            #expect(Set(places.map { $0 % site.columns }).count == site.columns)
          }
        }
      }
    }
    let ends = zip(trial.trained.model.plan.mlpLinears, target.mlpLinears)
    #expect(ends.allSatisfy { $0.structure.label == $1.structure.label && $0.structure.count == $1.structure.count })
  }

  @Test("The same seed moves the same weights, another seed others where chance has a part", arguments: subjects)
  func chance(_ subject: Subject) throws {
    func patterns(_ seed: UInt64 = 5) throws -> [Pattern] {
      var trial = try Trial(subject, seed: seed)
      for step in 0..<Self.steps { _ = try trial.step(step) }
      return trial.trained.model.plan.mlpLinears.map(\.structure.pattern)
    }
    #expect(try patterns() == patterns())
    if ["set", "prune-and-grow"].contains(subject.settings.name) { #expect(try patterns() != patterns(6)) }
  }

  @Test("RigL's gradient of all weights is that of the stored ones where there are any, and the largest come")
  func gradient() throws {
    var trial = try Trial(Subject(label: "csr", settings: RigL.settings(for: "csr")))
    try trial.sparsifier.prepare(trial.trained.model, step: 0)
    let model = trial.trained.model
    _ = try model.lossAndGradients(inputs: (0..<16).map { $0 }, targets: (0..<16).map { 31 - $0 })
    let observer = try #require(model.parameters.companion)
    #expect(observer.role == .observer)
    var all: [String: [Float]] = [:]
    for linear in model.plan.mlpLinears {
      let dense = try trial.device.numbers(observer.gradients[try #require(observer.range(of: linear.name))])
      let largest = dense.reduce(0) { max($0, abs($1)) }
      for (place, own) in try trial.entries(linear, model.parameters.gradients).enumerated() {
        // Sixteen products each way, rounded once each and summed: far inside the largest times gamma.
        if let own { #expect(abs(own - dense[place]) <= Float(RoundingBound.gamma(64)) * 16 * largest) }
      }
      all[linear.name] = dense
    }
    let before = model.plan.layers.map { $0.mlp.down }
    _ = try trial.sparsifier.update(&trial.trained, after: 1)
    for (old, layer) in zip(before, trial.trained.model.plan.layers) {
      let sites = try Sites(of: old.structure), sizes = try #require(all[old.name]).map(abs)
      let was = Set(sites.places(of: old.structure)), isNow = Set(sites.places(of: layer.mlp.down.structure))
      let came = isNow.subtracting(was), stayedOut = Set(0..<sites.placeCount).subtracting(was).subtracting(came)
      #expect(!came.isEmpty)
      #expect(came.map { sizes[$0] }.min() ?? 0 >= stayedOut.map { sizes[$0] }.max() ?? 0)
    }
    #expect(trial.trained.model.parameters.companion == nil)
  }

  @Test("What comes to down reads a hidden unit that gate has just left alive")
  func downFollows() throws {
    let subject = Subject(label: "csr", settings: SET.settings(for: "csr"))
    var trial = try Trial(subject, density: 0.02)
    var came = 0
    for step in 1..<Self.steps {
      let before = trial.trained.model.plan.layers
      guard try trial.step(step) != nil else { continue }
      for (old, new) in zip(before, trial.trained.model.plan.layers) {
        let live = new.mlp.gate.structure.liveOutputs, down = new.mlp.down.structure
        #expect(live.contains(false))
        let was = Set(try Sites(of: old.mlp.down.structure).places(of: old.mlp.down.structure))
        for place in try Sites(of: down).places(of: down) where !was.contains(place) {
          #expect(live[place % down.shape.inputs])
          came += 1
        }
      }
    }
    #expect(came > 0)
  }

  @Test("Masks drawn apart stay apart; a padded pattern does not move")
  func apart() throws {
    let device = try CPUDevice(threads: 2)
    let plan = try Self.plan("csr", masks: .independent)
    let sparsifier = try Sparsifier(
      SET.settings(for: "csr"), target: plan, steps: Self.steps, seed: 5, on: device)
    let model = try Mistral(plan, batch: 1, sequence: 16, on: device)
    func zeros() throws -> Vector { try device.makeVector(count: plan.parameterCount) }
    var trained = Sparsifier.Trained(model: model, first: try zeros(), second: try zeros())
    #expect(try sparsifier.update(&trained, after: 1) != nil)
    for layer in trained.model.plan.layers {
      #expect(layer.mlp.gate.structure.pattern != layer.mlp.up.structure.pattern)
      #expect(layer.mlp.gate.structure.count == plan.layers[0].mlp.gate.structure.count)
    }
    let padded = try Catalog.member("bsr-16", of: Shape(outputs: 40, inputs: 24), density: 0.5, seed: 1)
    #expect(throws: Refusal.self) { try Sites(of: padded) }
  }
}
