import Arrays
import Devices

extension Catalog {
  /// The families that `device` cannot compute, each with the primitive that it lacks, in the device's own words.
  ///
  /// Every family's small member is asked for its forward product and both gradients of one token: what a family needs is what it
  /// uses. Nothing is measured.
  /// - Throws: what the device throws where it fails otherwise.
  public static func unsupported(on device: any Device) throws -> [(family: String, reason: String)] {
    try unsupported(of: all, on: device)
  }

  private static func unsupported(
    of types: [any Structure.Type], on device: any Device
  ) throws -> [(family: String, reason: String)] {
    try types.compactMap { type in
      do {
        try probe(type, on: device)
        return nil
      } catch let refusal as Refusal where refusal.kind == .missing {
        return (type.card.family, refusal.sentence)
      }
    }
  }

  /// - Throws: a `Refusal` of kind `missing` that names those of the members' families that `device` cannot compute, and why.
  package static func require(_ members: [any Structure], on device: any Device) throws {
    let families = Set(members.map { type(of: $0).card.family })
    let lacking = try unsupported(of: all.filter { families.contains($0.card.family) }, on: device)
    guard let reason = lacking.first?.reason else { return }
    let names = lacking.filter { $0.reason == reason }.map(\.family).joined(separator: ", ")
    throw Refusal.missing("\(names) cannot be computed on \(device.name): \(reason)")
  }

  private static func probe(_ type: any Structure.Type, on device: any Device) throws {
    let shape = Shape(outputs: 64, inputs: 64)
    let densities = [0.25, 0.5, 1].lazy
    guard let member = densities.compactMap({ type.members(of: shape, density: $0, seed: 1).last }).first else {
      return
    }
    func activations(_ features: Int) throws -> Activations {
      try device.makeActivations(tokens: 1, features: features)
    }
    let x = try activations(shape.inputs), y = try activations(shape.outputs)
    let saved = member.savedFeatures == 0 ? nil : try activations(member.savedFeatures)
    let values = try device.makeVector(count: member.count), dvalues = try device.makeVector(count: member.count)
    try member.forward(x, values: values, saved: saved, into: y, accumulate: false, on: device)
    try member.backward(
      y, x: x, values: values, saved: saved, dx: activations(shape.inputs), accumulate: false, dvalues: dvalues,
      on: device)
    try device.synchronize()
  }
}
