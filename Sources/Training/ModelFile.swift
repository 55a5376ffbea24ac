import Arrays
import Checkpoints
import Devices
import Foundation
import Model
import Records

/// A model's numbers and patterns as safetensors, one tensor at a time straight from and to the device.
struct ModelFile {
  let model: Mistral
  let device: any Device

  static let schema = "filigree.model/1"

  /// `<weight>` or `<weight>.values.<tensor>`, and `<weight>.indices.<array>` for what the pattern holds.
  func values() throws -> SafetensorsWriter {
    var writer = SafetensorsWriter(metadata: [
      "filigree.schema": ModelFile.schema, "filigree.structure": model.structureLabel,
    ])
    try add(model.parameters.values, suffix: "", to: &writer)
    for (name, array) in model.patternArrays {
      try writer.add(name, shape: [array.count], int32s: array)
    }
    return writer
  }

  /// Both moments, and all numbers of a dense companion where there is one: `<linear>.<role>[.first|.second]`.
  func moments(of optimizer: Optimizer) throws -> SafetensorsWriter {
    var writer = SafetensorsWriter(metadata: ["filigree.schema": ModelFile.schema])
    try add(optimizer.first, suffix: ".first", to: &writer)
    try add(optimizer.second, suffix: ".second", to: &writer)
    for (companion, vector, suffix) in companionVectors {
      try add(vector, suffix: suffix, of: companion.tensors, to: &writer)
    }
    return writer
  }

  private var companionVectors: [(DenseCompanion, Vector, String)] {
    guard let companion = model.parameters.companion, companion.role != .observer else { return [] }
    let role = companion.role.rawValue
    return [
      (companion, companion.values, ".\(role)"), (companion, companion.first, ".\(role).first"),
      (companion, companion.second, ".\(role).second"),
    ]
  }

  private func add(
    _ vector: Vector, suffix: String, of tensors: [ParameterTensor]? = nil, to writer: inout SafetensorsWriter
  ) throws {
    let device = device
    for tensor in tensors ?? model.parameters.tensors {
      let part = vector[tensor.range]
      try writer.add(tensor.name + suffix, .f32, shape: tensor.shape) { write in
        let numbers = try device.numbers(part)
        try numbers.withUnsafeBytes { try write($0) }
      }
    }
  }

  /// Every tensor of the model and nothing else, and the very same patterns.
  func read(_ file: Safetensors) throws {
    let arrays = model.patternArrays
    let expected = Set(model.parameters.tensors.map(\.name) + arrays.map(\.name))
    guard Set(file.tensors.keys) == expected else {
      let name = expected.symmetricDifference(file.tensors.keys).sorted().first ?? ""
      throw Refusal.badInput("\(file.path) does not fit this model: the tensor '\(name)' is only on one side")
    }
    for (name, array) in arrays {
      guard try file.int32s(name, shape: [array.count]) == array else {
        throw Refusal.badInput("\(file.path) has another pattern in '\(name)' than this configuration and seed make")
      }
    }
    try read(file, suffix: "", into: model.parameters.values)
  }

  func readMoments(_ file: Safetensors, _ optimizer: Optimizer) throws {
    try read(file, suffix: ".first", into: optimizer.first)
    try read(file, suffix: ".second", into: optimizer.second)
    for (companion, vector, suffix) in companionVectors {
      try read(file, suffix: suffix, of: companion.tensors, into: vector)
    }
  }

  /// The index arrays of each of these matrices as the file has them, by the array's name; none for a dense one.
  static func patterns(in file: Safetensors, of names: [String]) throws -> [String: [String: [Int32]]] {
    var patterns: [String: [String: [Int32]]] = [:]
    for name in names {
      let prefix = "\(name).weight.indices."
      for key in ["rowStart", "column"] where file.tensors[prefix + key] != nil {
        patterns[name, default: [:]][key] = try file.int32s(prefix + key)
      }
    }
    return patterns
  }

  private func read(
    _ file: Safetensors, suffix: String, of tensors: [ParameterTensor]? = nil, into vector: Vector
  ) throws {
    for tensor in tensors ?? model.parameters.tensors {
      let numbers = try file.floats(tensor.name + suffix, shape: tensor.shape)
      try numbers.withUnsafeBufferPointer { try device.write($0, to: vector[tensor.range]) }
    }
  }
}
