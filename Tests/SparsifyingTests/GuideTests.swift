import Arrays
import Devices
import Model
import Structures
import Testing

@testable import Sparsifying

/// Self-guided training: the mixture is what it says, and chance follows the share.
@Suite struct GuideTests {
  private func model(_ structure: String, _ device: CPUDevice) throws -> Mistral {
    try Mistral(try MethodLawTests.plan(structure), batch: 1, sequence: 16, on: device)
  }

  private let inputs = (0..<16).map { Int32($0) }
  private let targets = (0..<16).map { Int32(31 - $0) }

  @Test(
    "A guide begins as the product: with any share the loss is the structure's own",
    arguments: ["lowrank-8", "monarch-4"])
  func beginsAsProduct(_ label: String) throws {
    let device = try CPUDevice(threads: 2), guide = SelfGuide(steps: 100, seed: 1)
    let model = try model(label, device)
    let alone = try model.loss(inputs: inputs, targets: targets).sum
    model.parameters.setCompanion(try guide.makeCompanion(model, isDrawn: true, on: device))
    for step in [0, 10, 25, 40] {
      try guide.settle(model, after: step, on: device)
      let mixed = try model.loss(inputs: inputs, targets: targets).sum
      // Rounding of six matrices' outputs; the loss moves by less than the outputs' relative error times its size.
      #expect(abs(mixed - alone) < 1e-4 * alone)
    }
    try guide.settle(model, after: 50, on: device)
    #expect(model.parameters.companion == nil)
    #expect(try model.loss(inputs: inputs, targets: targets).sum == alone)
  }

  @Test("The gradient of a guide and of the factors beside it is the loss's slope", arguments: [10, 25, 40])
  func slope(_ step: Int) throws {
    let device = try CPUDevice(threads: 2), guide = SelfGuide(steps: 100, seed: 1)
    let model = try model("lowrank-8", device)
    let companion = try #require(try guide.makeCompanion(model, isDrawn: true, on: device))
    model.parameters.setCompanion(companion)
    try guide.settle(model, after: step, on: device)
    var generator = SeededGenerator(seed: 9)
    // Away from the product, so that both branches count.
    let start = try device.numbers(companion.values).map { $0 + Float(0.05 * generator.normal()) }
    func set(_ numbers: [Float], _ vector: Vector) {
      numbers.withUnsafeBufferPointer { device.write($0, to: vector) }
    }
    set(start, companion.values)
    _ = try model.lossAndGradients(inputs: inputs, targets: targets)
    for (values, gradients) in [
      (companion.values, companion.gradients), (model.parameters.values, model.parameters.gradients),
    ] {
      let at = try device.numbers(values), slope = try device.numbers(gradients)
      let direction = at.map { _ in Float(generator.normal()) }
      let expected = zip(slope, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      func loss(_ distance: Float) throws -> Double {
        set(zip(at, direction).map { $0 + distance * $1 }, values)
        return try model.loss(inputs: inputs, targets: targets).sum / 16
      }
      // Richardson's central differences: the error falls with the fourth power of the distance.
      func central(_ h: Float) throws -> Double { (try loss(h) - loss(-h)) / Double(2 * h) }
      let found = (4 * (try central(0.002)) - (try central(0.004))) / 3
      set(at, values)
      #expect(abs(found - expected) < 0.01 * max(abs(expected), 0.1), "\(found) for \(expected)")
    }
  }

  @Test("A guide has a part as often as its share says, a quarter of all steps over the run")
  func share() {
    let guide = SelfGuide(steps: 4000, seed: 3)
    #expect(guide.share(step: 0) == 1 && abs(guide.share(step: 1000) - 0.5) < 1e-12)
    #expect(guide.share(step: 2000) == 0 && guide.share(step: 3999) == 0)
    let names = (0..<6).map { "layer \($0)" }
    let expected = Double(names.count) * (0..<4000).reduce(0.0) { $0 + guide.share(step: $1) }
    let variance =
      Double(names.count) * (0..<4000).reduce(0.0) { $0 + guide.share(step: $1) * (1 - guide.share(step: $1)) }
    let found = names.reduce(0) { $0 + guide.count($1, before: 4000) }
    #expect(abs(Double(found) - expected) < 4 * variance.squareRoot())
    #expect(abs(expected / Double(names.count) / 4000 - 0.25) < 0.001)
    #expect((0..<4000).contains { guide.isActive(names[0], step: $0) != guide.isActive(names[1], step: $0) })
  }
}
