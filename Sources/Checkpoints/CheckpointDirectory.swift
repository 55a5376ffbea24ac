import Arrays
import FoundationEssentials
import Records

/// A checkpoint that was read and found whole.
package struct Checkpoint<Payload: Decodable> {
  /// Optimiser steps done.
  package let step: Int
  package let payload: Payload
  package let model: Safetensors
  package let optimizer: Safetensors
  package let url: URL
}

extension Checkpoint: Sendable where Payload: Sendable {}

/// The checkpoints of a run: `checkpoints/000100/{model.safetensors, optimizer.safetensors, state.json}`.
///
/// A checkpoint is there whole or not at all (see ``AtomicFile``), and any altered, missing or cut file of it is noticed
/// when it is read: `state.json` is sealed and holds the size and CRC-32C of the two others. Folders are named by the
/// step, six digits or more; anything else in the folder is ignored.
package enum CheckpointDirectory {
  package static let modelName = "model.safetensors"
  package static let optimizerName = "optimizer.safetensors"
  package static let stateName = "state.json"
  static let schemaName = "filigree.checkpoint/1"

  /// Writes `folder/<step>` and then removes the checkpoints before it, but for the `keep` newest of which it is one.
  ///
  /// Checkpoints of later steps stay: see ``remove(after:in:)``. One of the same step is replaced.
  @discardableResult
  package static func save(
    step: Int, payload: some Encodable, model: SafetensorsWriter, optimizer: SafetensorsWriter, in folder: URL,
    keep: Int
  ) throws -> URL {
    guard step >= 0, keep >= 1 else {
      throw Refusal.badInput("cannot keep \(keep) checkpoints at step \(step): keep at least one, at a step from 0")
    }
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      throw Refusal.failed("cannot make the folder \(folder.path); check that its place exists and can be written")
    }
    let url = folder.appending(path: name(of: step), directoryHint: .isDirectory)
    try AtomicFile.writeFolder(to: url, ownsParent: true) { partial in
      let files = [
        modelName: try model.write(to: partial.appending(path: modelName)),
        optimizerName: try optimizer.write(to: partial.appending(path: optimizerName)),
      ]
      try SealedJSON.write(
        CheckpointState(step: step, files: files, payload: payload), to: partial.appending(path: stateName))
    }
    for old in all(in: folder).filter({ $0.step <= step }).dropFirst(keep) { try AtomicFile.removeFolder(old.url) }
    return url
  }

  /// The newest checkpoint; nil where there is none, or no such folder.
  package static func newest(in folder: URL) -> URL? { all(in: folder).first?.url }

  /// All checkpoints, the newest first; whether they are whole is found when they are loaded.
  package static func all(in folder: URL) -> [(step: Int, url: URL)] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.compactMap { name in
      let url = folder.appending(path: name, directoryHint: .isDirectory)
      var isFolder = false
      guard let step = step(of: name), FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder),
        isFolder
      else { return nil }
      return (step, url)
    }.sorted { $0.step > $1.step }
  }

  /// Removes the checkpoints of later steps, which a run that goes on from `step` will write again.
  package static func remove(after step: Int, in folder: URL) throws {
    for checkpoint in all(in: folder) where checkpoint.step > step { try AtomicFile.removeFolder(checkpoint.url) }
  }

  /// Reads everything once and refuses any damage, with one sentence that names the file.
  package static func load<Payload: Decodable>(_ url: URL, as type: Payload.Type) throws -> Checkpoint<Payload> {
    let stateURL = url.appending(path: stateName)
    let stateFile = try open(stateURL)
    let state = try SealedJSON.decode(
      CheckpointState<Payload>.self, from: try stateFile.contents(), path: stateURL.path)
    guard state.schema == schemaName else {
      throw Refusal.badInput("\(stateURL.path) is not of schema \(schemaName); use the version that wrote it")
    }
    guard step(of: url.lastPathComponent) == state.step else {
      throw Refusal.badInput("\(stateURL.path) is of step \(state.step): give its folder its own name again")
    }
    return Checkpoint(
      step: state.step, payload: state.payload, model: try tensors(modelName, url, state.files),
      optimizer: try tensors(optimizerName, url, state.files), url: url)
  }

  private static func tensors(_ name: String, _ url: URL, _ digests: [String: FileDigest]) throws -> Safetensors {
    let file = try open(url.appending(path: name))
    guard let digest = digests[name], try file.size() == digest.bytes, try FileDigest(of: file) == digest else {
      throw Refusal.badInput(
        "\(file.path) is damaged: its size or checksum is not what \(stateName) says; use an older checkpoint")
    }
    return try Safetensors(file)
  }

  private static func open(_ url: URL) throws -> OpenFile {
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw Refusal.badInput("the checkpoint file \(url.path) is missing; use an older checkpoint")
    }
    return try OpenFile(reading: url.path)
  }

  private static func name(of step: Int) -> String {
    let digits = String(step)
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  private static func step(of name: String) -> Int? {
    let isNumber = name.utf8.count >= 6 && name.utf8.allSatisfy { (48...57).contains($0) }
    return isNumber ? Int(name) : nil
  }
}

/// What `state.json` holds, by the names of its fields.
private struct CheckpointState<Payload> {
  var schema = CheckpointDirectory.schemaName
  var step: Int
  var files: [String: FileDigest]
  var payload: Payload
}

extension CheckpointState: Encodable where Payload: Encodable {}
extension CheckpointState: Decodable where Payload: Decodable {}
