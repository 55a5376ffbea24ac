import Glibc

/// Small text files that a kernel writes (`/proc`, `/sys`): any of them may be missing, empty or unreadable.
enum SystemFile {
  /// The text of a file, cut after `limit` bytes; nil when it cannot be opened or read. Never waits.
  static func text(_ path: String, limit: Int = 1 << 20) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 14)
    while bytes.count < limit {
      let count = read(file, &chunk, min(chunk.count, limit - bytes.count))
      if count < 0 && errno == EINTR { continue }
      if count < 0 { return nil }
      if count == 0 { break }
      bytes.append(contentsOf: chunk[0..<count])
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The only word of a file that holds one.
  static func word(_ path: String) -> String? {
    let words = text(path, limit: 4096)?.split(whereSeparator: \.isWhitespace) ?? []
    return words.count == 1 ? String(words[0]) : nil
  }

  /// The value of the first line `key : value`, without the blanks around it; nil when there is none or it is empty.
  static func value(of key: String, in text: String) -> String? {
    for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix(key) {
      let rest = line.dropFirst(key.count).drop { $0 == " " || $0 == "\t" }
      guard rest.first == ":" else { continue }
      let value = printable(rest.dropFirst())
      return value.isEmpty ? nil : value
    }
    return nil
  }

  /// The value of a line `key: 123 kB`, in bytes.
  static func bytes(of key: String, in text: String) -> Int? {
    let words = value(of: key, in: text)?.split(separator: " ") ?? []
    guard words.count == 2, words[1] == "kB", let count = Int(words[0]), count >= 0 else { return nil }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: 1024)
    return overflow ? nil : bytes
  }

  /// Fit for a record and a terminal: at most 200 characters, no control characters, single blanks, none at the ends.
  static func printable(_ text: some StringProtocol) -> String {
    let visible = text.map { character in
      character.unicodeScalars.contains { $0.properties.generalCategory == .control } ? " " : character
    }
    return String(visible.split(separator: " ").map { String($0) }.joined(separator: " ").prefix(200))
  }
}
