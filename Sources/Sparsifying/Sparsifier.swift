import Arrays
import Devices
import Model
import Records
import Structures

/// Moves the weights of a model in training: after some steps every MLP matrix may get a new pattern.
///
/// A change makes new structures and a new model around the old activations; values and both moments are carried over
/// (see ``Remap``). Gate and up of a layer are ranked together and share their pattern; what comes to down reads a hidden
/// unit that gate has just left alive. All of it is a function of the model's numbers, the seed and the step.
package final class Sparsifier {
  package let method: any SparsifyingMethod
  private let groups: [[String]]
  private let sites: [String: Sites]
  private let gates: [String: String]
  private let seed: UInt64
  private let device: any Device

  /// What moved.
  package struct Change: Sendable {
    package let changed: Int
    package let effectiveWidth: Int
    package let parameters: Int
  }

  /// A model with its moments.
  package struct Trained {
    package var model: Mistral
    package var first: Vector
    package var second: Vector

    package init(model: Mistral, first: Vector, second: Vector) {
      self.model = model
      self.first = first
      self.second = second
    }
  }

  /// - Parameter target: the model that training ends with.
  package init(
    _ settings: TrainingConfiguration.Method, target: MistralPlan, steps: Int, seed: UInt64, on device: any Device
  ) throws {
    method = try Methods.named(settings.name).init(settings, steps: steps)
    groups = Sparsifier.groups(of: target)
    gates = Sparsifier.gates(of: target)
    sites = try Sparsifier.sites(of: target, for: type(of: method))
    self.seed = seed
    self.device = device
  }

  /// Gate with up where they share their pattern, and down, of every layer that is not dense.
  package static func groups(of plan: MistralPlan) -> [[String]] {
    plan.layers.flatMap { layer in
      let mlp = layer.mlp
      let isShared = mlp.gate.structure.pattern == mlp.up.structure.pattern
      return (isShared ? [[mlp.gate, mlp.up], [mlp.down]] : [[mlp.gate], [mlp.up], [mlp.down]]).map { group in
        group.filter { !($0.structure is Dense) }.map(\.name)
      }
    }.filter { !$0.isEmpty }
  }

  /// For every down its gate.
  private static func gates(of plan: MistralPlan) -> [String: String] {
    Dictionary(uniqueKeysWithValues: plan.layers.map { ($0.mlp.down.name, $0.mlp.gate.name) })
  }

  package static func sites(of plan: MistralPlan, for method: any SparsifyingMethod.Type) throws -> [String: Sites] {
    var sites: [String: Sites] = [:]
    for linear in plan.structuredLinears {
      let found = try Sites(of: linear.structure)
      try method.check(found)
      sites[linear.name] = found
    }
    guard !sites.isEmpty else {
      throw Refusal.badInput("\(method.card.name) has nothing to move: no MLP of this model is sparse")
    }
    return sites
  }

  /// The structures with these names' patterns as a checkpoint has them.
  package func structures(_ arrays: [String: [String: [Int32]]]) throws -> [String: any Structure] {
    var found: [String: any Structure] = [:]
    for group in groups {
      for name in group {
        guard let sites = sites[name] else { continue }
        let pattern = Pattern(arrays[name] ?? [:])
        if pattern.arrays.isEmpty {
          found[name] = Dense(shape: sites.target.shape)
        } else if let first = group.first.flatMap({ found[$0] }), first.pattern == pattern {
          found[name] = first
        } else {
          found[name] = try sites.structure(of: pattern)
        }
      }
    }
    return found
  }

  // MARK: Around a step

  /// What stands beside the model all the time, with its first values.
  package func makeCompanion(for plan: MistralPlan, isDrawn: Bool) throws -> DenseCompanion? {
    guard let role = method.companion else { return nil }
    return try DenseCompanion(
      role, of: plan.structuredLinears,
      initial: { [seed] linear in
        let shape = linear.structure.shape
        guard isDrawn else { return [Float](repeating: 0, count: shape.count) }
        var generator = SeededGenerator(seed: seed, linear.name)
        let gain = plan.architecture.initializerRange * Double(shape.inputs).squareRoot()
        return Dense(shape: shape).initialValues(gain: gain, using: &generator)
      }, on: device)
  }

  /// To be called before the gradients of step `step` (from 0) are computed.
  package func prepare(_ model: Mistral, step: Int) throws {
    guard method.needsDenseGradient, method.isUpdate(after: step + 1) else { return }
    let linears = model.plan.mlpLinears.filter { sites[$0.name] != nil }
    model.parameters.setCompanion(try DenseCompanion(.observer, of: linears, initial: { _ in [] }, on: device))
  }

  /// Adds lambda (1 - M) * W to a master's gradient; to be called between gradients and optimiser.
  package func decayMasked(_ model: Mistral) throws {
    guard let straight = method as? StraightThrough, let master = model.parameters.companion else { return }
    for linear in model.plan.structuredLinears {
      guard let range = master.range(of: linear.name), let sites = sites[linear.name] else { continue }
      var decay = try device.numbers(master.values[range])
      for entry in sites.entries(of: linear.structure) { decay[Int(entry)] = 0 }
      var gradient = try device.numbers(master.gradients[range])
      for index in gradient.indices { gradient[index] += Float(straight.maskedDecay) * decay[index] }
      try write(gradient, to: master.gradients[range])
    }
  }

  /// The model's values become the master's on its pattern; to be called after the optimiser.
  package func gather(_ model: Mistral) throws {
    guard method.companion == .master, let master = model.parameters.companion else { return }
    for linear in model.plan.structuredLinears {
      guard let range = master.range(of: linear.name), let sites = sites[linear.name] else { continue }
      let all = try device.numbers(master.values[range])
      try write(sites.entries(of: linear.structure).map { all[Int($0)] }, to: model.parameters.values[linear.range])
    }
  }

  /// The model after the change that follows `step` steps; nil where none does.
  package func update(_ trained: inout Trained, after step: Int) throws -> Change? {
    guard method.isUpdate(after: step) else { return nil }
    let model = trained.model
    let linears = Dictionary(uniqueKeysWithValues: model.plan.mlpLinears.map { ($0.name, $0) })
    var structures: [String: any Structure] = [:]
    for group in groups {
      guard let first = group.first, var sites = sites[first], let linear = linears[first] else { continue }
      if let gate = gates[first], let moved = structures[gate] ?? linears[gate]?.structure {
        sites = sites.reading(only: moved.liveOutputs)
      }
      var scores = [Float](repeating: 0, count: sites.placeCount)
      var gradient: [Float]?
      for name in group {
        guard let linear = linears[name] else { continue }
        sites.addMagnitudes(of: try weights(of: linear, sites, model), to: &scores)
        if method.needsDenseGradient, let observer = model.parameters.companion, let range = observer.range(of: name) {
          var sums = gradient ?? [Float](repeating: 0, count: sites.placeCount)
          sites.addMagnitudes(of: try device.numbers(observer.gradients[range]), to: &sums)
          gradient = sums
        }
      }
      var generator = SeededGenerator(seed: seed, "\(first) moves after \(step)")
      let now = sites.places(of: linear.structure)
      let next = method.next(
        sites, now: now, scores: scores, gradient: gradient, after: step, using: &generator)
      guard next != now else { continue }
      // One pattern, with its indices and walks, for all that share it.
      let structure = try sites.structure(at: next)
      for name in group { structures[name] = structure }
    }
    if method.needsDenseGradient { model.parameters.setCompanion(nil) }
    return structures.isEmpty ? nil : try replace(&trained, structures)
  }

  private func replace(_ trained: inout Trained, _ structures: [String: any Structure]) throws -> Change {
    let model = trained.model
    let plan = model.plan.replacing(structures)
    let remap = Remap(from: model.plan, to: plan, sites.filter { structures[$0.key] != nil }, on: device)
    let old = model.parameters
    let parameters = Parameters(
      plan.tensors, values: try remap.apply(to: old.values),
      gradients: plan.parameterCount == old.count ? old.gradients : try device.makeVector(count: plan.parameterCount))
    parameters.setCompanion(model.parameters.companion)
    trained = Trained(
      model: Mistral(model, plan: plan, parameters: parameters), first: try remap.apply(to: trained.first),
      second: try remap.apply(to: trained.second))
    try gather(trained.model)
    return Change(
      changed: max(remap.newcomers, remap.leavers), effectiveWidth: plan.effectiveWidth,
      parameters: plan.parameterCount)
  }

  /// Row-major [O, I], zeros where nothing is stored; a master's are its own.
  private func weights(of linear: Linear, _ sites: Sites, _ model: Mistral) throws -> [Float] {
    if method.companion == .master, let master = model.parameters.companion, let range = master.range(of: linear.name) {
      return try device.numbers(master.values[range])
    }
    let values = try device.numbers(model.parameters.values[linear.range])
    var dense = [Float](repeating: 0, count: sites.target.shape.count)
    for (index, entry) in sites.entries(of: linear.structure).enumerated() { dense[Int(entry)] = values[index] }
    return dense
  }

  private func write(_ numbers: [Float], to vector: Vector) throws {
    try numbers.withUnsafeBufferPointer { try device.write($0, to: vector) }
  }
}
