import Arrays
import Foundation
import Records
import Testing

@testable import Checkpoints

struct CheckpointDirectoryTests {
  private struct Payload: Codable, Equatable, Sendable {
    var cursor = 12345
    var generator: UInt64 = 1 << 63
    var patternHash = "0f0f"
  }

  private func tensors(_ value: Float, count: Int = 3) throws -> SafetensorsWriter {
    var writer = SafetensorsWriter()
    try writer.add("w", shape: [count], floats: [Float](repeating: value, count: count))
    return writer
  }

  @discardableResult
  private func save(_ step: Int, in folder: URL, keep: Int = 9) throws -> URL {
    try CheckpointDirectory.save(
      step: step, payload: Payload(cursor: step), model: tensors(Float(step)), optimizer: tensors(-Float(step)),
      in: folder, keep: keep)
  }

  @Test("a checkpoint comes back bitwise, from the folder and the files of the interface")
  func roundTrip() throws {
    try withTemporaryFolder { run in
      let folder = run.appending(path: "checkpoints")
      let url = try save(100, in: folder)
      #expect(url.path == folder.appending(path: "000100").path)
      #expect(try names(in: url) == ["model.safetensors", "optimizer.safetensors", "state.json"])
      #expect(try names(in: folder) == ["000100"])
      let checkpoint = try CheckpointDirectory.load(url, as: Payload.self)
      #expect(checkpoint.step == 100 && checkpoint.payload == Payload(cursor: 100))
      #expect(try checkpoint.model.floats("w") == [100, 100, 100])
      #expect(try checkpoint.optimizer.floats("w") == [-100, -100, -100])
    }
  }

  @Test("a checkpoint of the same step is replaced, and equal checkpoints are equal bytes")
  func again() throws {
    try withTemporaryFolder { folder in
      let files = { (url: URL) in try names(in: url).map { try Data(contentsOf: url.appending(path: $0)) } }
      let first = try files(save(7, in: folder))
      try Data("junk".utf8).write(to: folder.appending(path: "000007/junk"))
      #expect(try files(save(7, in: folder)) == first)
      #expect(try names(in: folder) == ["000007"])
    }
  }

  @Test("the newest are kept, the one just saved always, later ones until they are removed")
  func keeps() throws {
    try withTemporaryFolder { folder in
      for step in [10, 20, 30, 40] { try save(step, in: folder, keep: 2) }
      #expect(try names(in: folder) == ["000030", "000040"])
      try save(35, in: folder, keep: 1)
      #expect(try names(in: folder) == ["000035", "000040"])
      try CheckpointDirectory.remove(after: 35, in: folder)
      #expect(try names(in: folder) == ["000035"])
      #expect(throws: Refusal.self) { try save(36, in: folder, keep: 0) }
      #expect(throws: Refusal.self) { try save(-1, in: folder) }
    }
  }

  @Test("the newest is the largest step; other names, files and partials are ignored")
  func newest() throws {
    try withTemporaryFolder { folder in
      #expect(CheckpointDirectory.newest(in: folder) == nil)
      #expect(CheckpointDirectory.newest(in: folder.appending(path: "absent")) == nil)
      let ignored = [
        "00900", "900000x", "-900000", "+900000", "900000.partial-\(getppid())", "٩٠٠٠٠٠",
        String(repeating: "9", count: 30), "latest",
      ]
      for name in ignored {
        try FileManager.default.createDirectory(at: folder.appending(path: name), withIntermediateDirectories: true)
      }
      try Data().write(to: folder.appending(path: "900001"))
      #expect(CheckpointDirectory.newest(in: folder) == nil)
      for step in [999_999, 5, 1_000_000] { try save(step, in: folder) }
      #expect(CheckpointDirectory.newest(in: folder)?.lastPathComponent == "1000000")
      #expect(CheckpointDirectory.all(in: folder).map(\.step) == [1_000_000, 999_999, 5])
      #expect(try names(in: folder).count == ignored.count + 4)
    }
  }

  @Test("what a killed process left is cleared by the next checkpoint")
  func leftovers() throws {
    try withTemporaryFolder { folder in
      let left = folder.appending(path: "000050.partial-999999999")
      try FileManager.default.createDirectory(at: left, withIntermediateDirectories: true)
      try Data("half".utf8).write(to: left.appending(path: "model.safetensors"))
      try save(100, in: folder)
      #expect(try names(in: folder) == ["000100"])
    }
  }

  @Test("a save that fails leaves what was there and nothing of its own")
  func failure() throws {
    try withTemporaryFolder { folder in
      try save(10, in: folder)
      var wrong = SafetensorsWriter()
      try wrong.add("w", shape: [2], floats: [1])
      let model = try tensors(1)
      #expect(throws: Refusal.self) {
        try CheckpointDirectory.save(
          step: 20, payload: Payload(), model: model, optimizer: wrong, in: folder, keep: 1)
      }
      #expect(throws: Refusal.self) {
        try CheckpointDirectory.save(
          step: 10, payload: ["x": Double.nan], model: model, optimizer: model, in: folder, keep: 1)
      }
      #expect(try names(in: folder) == ["000010"])
      #expect(try CheckpointDirectory.load(folder.appending(path: "000010"), as: Payload.self).step == 10)
    }
  }

  @Test(
    "any flipped byte, any cut and a missing file are refused by name",
    arguments: ["model.safetensors", "optimizer.safetensors", "state.json"])
  func damage(name: String) throws {
    try withTemporaryFolder { folder in
      let url = try save(100, in: folder)
      let file = url.appending(path: name)
      let whole = try Data(contentsOf: file)
      func expectRefusal(_ comment: String) {
        do {
          _ = try CheckpointDirectory.load(url, as: Payload.self)
          Issue.record("\(name) was taken: \(comment)")
        } catch let refusal as Refusal {
          let namesFile = refusal.sentence.contains(file.path) && refusal.sentence.contains("older checkpoint")
          if !namesFile || refusal.kind != .badInput { Issue.record("\(comment): \(refusal.sentence)") }
        } catch {
          Issue.record("\(comment): \(error)")
        }
      }
      for position in whole.indices {
        var altered = whole
        altered[position] ^= UInt8(1 << (position % 8))
        try altered.write(to: file)
        expectRefusal("byte \(position) flipped")
        try whole[..<position].write(to: file)
        expectRefusal("cut to \(position) bytes")
      }
      try (whole + [0]).write(to: file)
      expectRefusal("a byte more")
      try FileManager.default.removeItem(at: file)
      expectRefusal("missing")
      try whole.write(to: file)
      #expect(try CheckpointDirectory.load(url, as: Payload.self).step == 100)
    }
  }

  @Test("files of two checkpoints cannot be mixed, nor a folder renamed to another step")
  func mixed() throws {
    try withTemporaryFolder { folder in
      let first = try save(1, in: folder)
      let second = try save(2, in: folder)
      let model = "model.safetensors"
      try Data(contentsOf: first.appending(path: model)).write(to: second.appending(path: model))
      #expect(throws: Refusal.self) { try CheckpointDirectory.load(second, as: Payload.self) }
      let renamed = folder.appending(path: "000003")
      try FileManager.default.moveItem(at: first, to: renamed)
      let refusal = #expect(throws: Refusal.self) { try CheckpointDirectory.load(renamed, as: Payload.self) }
      #expect(refusal?.sentence.contains("is of step 1") == true)
    }
  }

  @Test("a damaged byte deep in larger files is noticed too")
  func largeFiles() throws {
    try withTemporaryFolder { folder in
      let url = try CheckpointDirectory.save(
        step: 1, payload: Payload(), model: tensors(1, count: 700_000), optimizer: tensors(2), in: folder, keep: 1)
      let file = url.appending(path: "model.safetensors")
      let whole = try Data(contentsOf: file)
      for position in stride(from: 17, to: whole.count, by: 300_007) {
        var altered = whole
        altered[position] ^= 0x10
        try altered.write(to: file)
        #expect(throws: Refusal.self) { try CheckpointDirectory.load(url, as: Payload.self) }
      }
    }
  }
}
