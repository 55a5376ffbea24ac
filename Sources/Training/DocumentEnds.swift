/// Where the documents of a ``TextStore`` end, in ascending order; in a ``ByteStore`` too, for there may be many.
package struct DocumentEnds: Sendable {
  /// Eight bytes each.
  private let store: ByteStore

  package static let none = DocumentEnds(store: ByteStore([]))

  package var count: Int { store.count / 8 }

  package struct Writer {
    private var writer = ByteStoreWriter()

    package init() {}

    package mutating func append(_ end: Int) throws {
      try withUnsafeBytes(of: Int64(end)) { try writer.append($0) }
    }

    package mutating func finish() throws -> DocumentEnds { DocumentEnds(store: try writer.finish()) }
  }

  /// Goes through the ends, some at a time.
  package struct Cursor {
    private static let most = 4096
    private let ends: DocumentEnds
    private var read = 0
    private var block: ArraySlice<Int64> = []

    package init(_ ends: DocumentEnds) { self.ends = ends }

    package mutating func next() throws -> Int? {
      if block.isEmpty, read < ends.count {
        var numbers = [Int64](repeating: 0, count: min(Self.most, ends.count - read))
        try numbers.withUnsafeMutableBytes { try ends.store.read(into: $0, at: 8 * read) }
        read += numbers.count
        block = numbers[...]
      }
      return block.popFirst().map(Int.init)
    }
  }
}
