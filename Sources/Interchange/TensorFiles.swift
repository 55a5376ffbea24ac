import Arrays
import Checkpoints
import Foundation
import Records

/// The tensors of a model in one file, or in several with an index, by their names.
///
///     model.safetensors   or   model.safetensors.index.json: {"weight_map": {name: file}} and the files it names
///
/// Every tensor is in one file only, and where the index says; the files are in the folder itself.
package struct TensorFiles: Sendable {
  private let files: [String: Safetensors]
  private let places: [String: String]
  /// For sentences.
  package let path: String
  /// Of the one file; empty where there are several.
  package let metadata: [String: String]

  package static let name = "model.safetensors"
  package static let indexName = "model.safetensors.index.json"
  private static let mostFiles = 4096

  package var names: Set<String> { Set(places.keys) }

  package init(_ file: Safetensors) {
    self.init(
      files: ["": file], places: file.tensors.mapValues { _ in "" }, path: file.path, metadata: file.metadata)
  }

  package init(folder: URL) throws {
    let single = folder.appendingPathComponent(Self.name), index = folder.appendingPathComponent(Self.indexName)
    if FileManager.default.fileExists(atPath: single.path) {
      self.init(try Safetensors(contentsOf: single))
      return
    }
    guard FileManager.default.fileExists(atPath: index.path) else {
      throw Refusal.badInput("\(folder.path) has neither \(Self.name) nor \(Self.indexName); give a model's directory")
    }
    let places = try Self.places(OpenFile(reading: index.path).contents(limit: 1 << 26), path: index.path)
    var files: [String: Safetensors] = [:]
    for name in Set(places.values) {
      files[name] = try Safetensors(contentsOf: folder.appendingPathComponent(name))
    }
    for (tensor, file) in places where files[file]?.tensors[tensor] == nil {
      throw Refusal.badInput("\(index.path) says that \(file) has the tensor '\(tensor.prefix(80))', and it has not")
    }
    for (name, file) in files {
      for tensor in file.tensors.keys where places[tensor] != name {
        throw Refusal.badInput(
          "\(file.path) has the tensor '\(tensor.prefix(80))', which \(Self.indexName) does not place there")
      }
    }
    self.init(files: files, places: places, path: index.path, metadata: [:])
  }

  private init(files: [String: Safetensors], places: [String: String], path: String, metadata: [String: String]) {
    self.files = files
    self.places = places
    self.path = path
    self.metadata = metadata
  }

  /// The index: which file each tensor is in.
  package static func places(_ bytes: [UInt8], path: String) throws -> [String: String] {
    let index = try JSONValue(parsing: bytes, at: path)
    guard let map = index["weight_map"]?.members, !map.isEmpty else {
      throw Refusal.badInput("\(path) has no weight_map; get a good copy of it")
    }
    var places: [String: String] = [:]
    var files = Set<String>()
    for entry in map {
      guard let file = entry.value.string, !file.isEmpty, !file.hasPrefix("."), !file.contains("/"),
        !file.contains("\0")
      else { throw Refusal.badInput("\(path) places a tensor in \(entry.value.kind), which is no file's name") }
      files.insert(file)
      guard files.count <= mostFiles else { throw Refusal.badInput("\(path) names more than \(mostFiles) files") }
      let name = String(decoding: entry.name, as: UTF8.self)
      guard places.updateValue(file, forKey: name) == nil else {
        throw Refusal.badInput("\(path) places a tensor twice; get a good copy of it")
      }
    }
    return places
  }

  private func file(_ name: String) throws -> Safetensors {
    guard let place = places[name], let file = files[place] else {
      throw Refusal.badInput("\(path) has no tensor '\(name.prefix(80))'; check that it is the right model")
    }
    return file
  }

  package func floats(_ name: String, shape: [Int]) throws -> [Float] { try file(name).floats(name, shape: shape) }
  package func int32s(_ name: String) throws -> [Int32] { try file(name).int32s(name) }
  package func shape(_ name: String) throws -> [Int] { try file(name).tensor(name).shape }
}
