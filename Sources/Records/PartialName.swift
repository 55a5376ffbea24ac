import FoundationEssentials
import Glibc
import Synchronization

/// The name that a file or folder has while it is written: `<name>.partial-<process>`, then `-<n>` where this process
/// already writes one of that name.
///
/// A partial is stale when nobody can be writing it: its process is gone, or is this one, which knows what it writes.
enum PartialName {
  private static let inUse = Mutex<Set<String>>([])

  /// A name beside `path` that nobody uses, until ``release(_:)``.
  static func claim(for path: String) -> String {
    inUse.withLock { inUse in
      let first = "\(path).partial-\(getpid())"
      var name = first
      var number = 1
      while !inUse.insert(name).inserted {
        name = "\(first)-\(number)"
        number += 1
      }
      return name
    }
  }

  static func release(_ partial: String) { _ = inUse.withLock { $0.remove(partial) } }

  /// Removes the stale partials in a folder: those of `name`, or all where it is nil. What cannot be removed stays.
  static func removeStale(in folder: String, of name: String?) {
    for entry in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      guard let (base, process) = parse(entry), name == nil || name == base else { continue }
      let path = folder.hasSuffix("/") ? folder + entry : "\(folder)/\(entry)"
      let isWritten =
        process == getpid() ? inUse.withLock { $0.contains(path) } : kill(process, 0) == 0 || errno == EPERM
      if !isWritten { try? FileManager.default.removeItem(atPath: path) }
    }
  }

  private static func parse(_ entry: String) -> (base: String, process: pid_t)? {
    guard let mark = entry.ranges(of: ".partial-").last, mark.lowerBound > entry.startIndex else { return nil }
    let numbers = entry[mark.upperBound...].split(separator: "-", omittingEmptySubsequences: false)
    let areDigits = numbers.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }
    guard numbers.count <= 2, areDigits, let process = pid_t(numbers[0]), process > 0 else { return nil }
    return (String(entry[..<mark.lowerBound]), process)
  }
}
