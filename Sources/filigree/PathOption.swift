import Arrays
import Foundation

/// A file or directory named on the command line; an empty name would quietly be the present directory.
enum PathOption {
  static func url(_ path: String, _ option: String) throws -> URL {
    guard !path.isEmpty else { throw Refusal.badInput("\(option) is empty; give the path of a file or a directory") }
    return URL(fileURLWithPath: path)
  }

  /// - Throws: a `Refusal` where no directory of this name can be made or written to, before hours have passed.
  static func requireWritable(_ folder: URL, _ option: String) throws {
    var isDirectory: ObjCBool = false
    var place = folder.standardizedFileURL
    while !FileManager.default.fileExists(atPath: place.path, isDirectory: &isDirectory), place.path != "/" {
      place.deleteLastPathComponent()
    }
    guard isDirectory.boolValue else {
      throw Refusal.badInput("\(option) \(folder.path): \(place.path) is not a directory; choose another path")
    }
    guard FileManager.default.isWritableFile(atPath: place.path) else {
      throw Refusal.badInput("\(option) \(folder.path): \(place.path) cannot be written to; choose another path")
    }
  }

  /// - Throws: a `Refusal` when texts to validate on come without texts to train on, and would go unread.
  static func requireData(_ data: [String], validation: [String]) throws {
    guard !data.isEmpty || validation.isEmpty else {
      throw Refusal.badInput("--validation without --data would not be read; give the text to train on too")
    }
  }
}
