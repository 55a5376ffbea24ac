import Arrays
import Foundation
import Records

/// A file of tokens as llm.c and nanoGPT keep them.
///
///     llm.c    256 int32 (magic, version, tokens, zeros), then the tokens
///              magic 20240520, version 1: uint16;  20240801, version 7: uint32
///     nanoGPT  uint16 tokens and no header: a file named `.bin` that begins with neither magic
///
/// Little-endian. Refused: another version; a length that is not what the header says, or odd; no token at all.
package struct TokenShard: Sendable {
  package let store: ByteStore
  /// Where the first token is.
  package let offset: Int
  /// Bytes of a token: 2 or 4.
  package let width: Int
  package let count: Int

  private static let headerBytes = 1024
  private static let formats: [(magic: Int32, version: Int32, width: Int)] = [(20_240_520, 1, 2), (20_240_801, 7, 4)]
  /// The header's count is an int32.
  package static let mostTokens = Int(Int32.max)

  /// Whether the bytes begin as one of llm.c's files; no UTF-8 text does.
  static func hasMagic(_ bytes: [UInt8]) -> Bool {
    bytes.count >= 4 && formats.contains { $0.magic == int32(bytes, 0) }
  }

  private static func int32(_ bytes: [UInt8], _ index: Int) -> Int32 {
    Int32(bitPattern: bytes[4 * index..<4 * index + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
  }

  package init(_ store: ByteStore, path: String) throws {
    let header = try store.bytes(0..<min(store.count, Self.headerBytes))
    guard Self.hasMagic(header), let format = Self.formats.first(where: { $0.magic == Self.int32(header, 0) }) else {
      guard store.count > 0, store.count.isMultiple(of: 2) else {
        throw Refusal.badInput(
          "\(path) is no file of tokens: it has neither llm.c's header nor a whole number of 16-bit tokens (\(store.count) bytes)"
        )
      }
      (self.store, offset, width, count) = (store, 0, 2, store.count / 2)
      return
    }
    guard header.count == Self.headerBytes, Self.int32(header, 1) == format.version else {
      throw Refusal.badInput("\(path) is a file of tokens of a version that is not known here, or is cut short")
    }
    let count = Int(Self.int32(header, 2))
    guard count > 0, store.count - Self.headerBytes == count * format.width else {
      throw Refusal.badInput(
        "\(path) should have \(count) tokens of \(format.width) bytes and has \(store.count - Self.headerBytes) bytes; get a whole copy"
      )
    }
    (self.store, offset, width, self.count) = (store, Self.headerBytes, format.width, count)
  }

  /// Writes the tokens of `range` as one file of llm.c's; 16-bit where the tokens have that width.
  package static func write(_ stream: TokenStream, _ range: Range<Int>, to url: URL) throws {
    precondition(range.count <= mostTokens)
    let format = formats[stream.largest <= Int32(UInt16.max) ? 0 : 1]
    try AtomicFile.write(to: url) { sink in
      var header = [Int32](repeating: 0, count: 256)
      (header[0], header[1], header[2]) = (format.magic, format.version, Int32(range.count))
      try header.map(\.littleEndian).withUnsafeBytes { try sink.write($0) }
      for start in stride(from: range.lowerBound, to: range.upperBound, by: 1 << 18) {
        let tokens = try stream.tokens(start..<min(start + 1 << 18, range.upperBound))
        if format.width == 2 {
          try tokens.map { UInt16($0).littleEndian }.withUnsafeBytes { try sink.write($0) }
        } else {
          try tokens.map(\.littleEndian).withUnsafeBytes { try sink.write($0) }
        }
      }
    }
  }

  // MARK: Which files these are

  /// Opens what the paths name, where they name files of tokens; nil where they name texts.
  ///
  /// - Refused: some of each.
  package static func open(_ paths: [String]) throws -> [TokenShard]? {
    var shards: [TokenShard] = []
    var text: FileTree.Path?
    for name in try paths.flatMap(FileTree.matches) {
      // What is no path is refused where texts are read.
      guard let path = FileTree.Path(name) else { return nil }
      var tree = FileTree(path)
      while let path = try tree.next() {
        if let shard = try open(path) { shards.append(shard) } else { text = text ?? path }
        if let text, !shards.isEmpty {
          throw Refusal.badInput("\(text.quoted) is a text and others are files of tokens: give one kind")
        }
        // One text decides; the others are found out where they are read.
        if text != nil { return nil }
      }
    }
    return shards.isEmpty ? nil : shards
  }

  private static func open(_ path: FileTree.Path) throws -> TokenShard? {
    let name = path.characters.dropLast().map { UInt8(bitPattern: $0) }
    let isNamed = name.suffix(4).elementsEqual(".bin".utf8)
    guard let readable = String(validating: name, as: UTF8.self) else { return nil }
    guard let file = try? OpenFile(reading: readable) else { return nil }
    let store = try ByteStore(file)
    guard try isNamed || hasMagic(store.bytes(0..<min(4, store.count))) else { return nil }
    return try TokenShard(store, path: readable)
  }
}
