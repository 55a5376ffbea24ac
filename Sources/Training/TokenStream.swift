import Arrays
import Foundation
import Records

/// A long row of tokens of one, two or four bytes each, in memory or in files, handed out as Int32.
///
/// One pass when it is made finds what must be known of all of it: frequencies, the largest token, a checksum. After that,
/// memory is what is asked for.
/// - Refused: a token of 2^24 or more, which no vocabulary holds.
package struct TokenStream: Sendable {
  private struct Segment: Sendable {
    let store: ByteStore
    let offset: Int
    let width: Int
    /// Numbers of its tokens in the stream.
    let range: Range<Int>
  }

  private let segments: [Segment]
  package let count: Int
  /// How often each token occurs, from 0 to the largest.
  package let frequencies: [Int]
  /// CRC-32C of the tokens' bytes as they are stored.
  package let checksum: UInt32
  /// Bytes that the tokens take where they are stored.
  package let byteCount: Int
  package var largest: Int32 { Int32(frequencies.count) - 1 }

  package static let limit: Int32 = 1 << 24
  /// What the record of a run says where its tokens came from files and nobody named their tokenizer.
  package static let unnamedTokenizer = "shards"

  private init(_ parts: [(store: ByteStore, offset: Int, width: Int, count: Int)]) throws {
    var segments: [Segment] = []
    var count = 0
    for part in parts {
      segments.append(
        Segment(store: part.store, offset: part.offset, width: part.width, range: count..<count + part.count))
      count += part.count
    }
    self.segments = segments
    self.count = count
    var frequencies: [Int] = []
    var crc = CRC32C()
    var bytes = 0
    for segment in segments {
      let range = segment.offset..<segment.offset + segment.range.count * segment.width
      try segment.store.forEachPiece(range) { piece in
        crc.update(piece)
        bytes += piece.count
        try Self.add(piece, width: segment.width, to: &frequencies)
      }
    }
    self.frequencies = frequencies
    checksum = crc.value
    byteCount = bytes
  }

  private static func add(_ piece: UnsafeRawBufferPointer, width: Int, to frequencies: inout [Int]) throws {
    func grow(to largest: UInt32) throws {
      guard largest < UInt32(limit) else {
        throw Refusal.badInput("a token is \(largest), more than any vocabulary has; is it a file of tokens?")
      }
      if largest >= frequencies.count {
        frequencies += [Int](repeating: 0, count: Int(largest) + 1 - frequencies.count)
      }
    }
    switch width {
    case 1:
      try grow(to: UInt32(piece.max() ?? 0))
      frequencies.withUnsafeMutableBufferPointer { counts in for byte in piece { counts[Int(byte)] += 1 } }
    case 2:
      try piece.withMemoryRebound(to: UInt16.self) { tokens in
        try grow(to: UInt32(tokens.max() ?? 0))
        frequencies.withUnsafeMutableBufferPointer { counts in for token in tokens { counts[Int(token)] += 1 } }
      }
    default:
      try piece.withMemoryRebound(to: UInt32.self) { tokens in
        try grow(to: tokens.max() ?? 0)
        frequencies.withUnsafeMutableBufferPointer { counts in for token in tokens { counts[Int(token)] += 1 } }
      }
    }
  }

  /// One token for each byte.
  package init(_ bytes: [UInt8]) {
    // Bytes in memory are below every limit and cannot fail to be read.
    try! self.init([(ByteStore(bytes), 0, 1, bytes.count)])
  }

  package init(_ store: ByteStore, _ range: Range<Int>, width: Int) throws {
    try self.init([(store, range.lowerBound, width, range.count / width)])
  }

  /// One shard after the other, or the tokens `range` of them all.
  package init(_ shards: [TokenShard], _ range: Range<Int>? = nil) throws {
    var parts: [(store: ByteStore, offset: Int, width: Int, count: Int)] = []
    var start = 0
    for shard in shards {
      let all = start..<start + shard.count
      let part = all.clamped(to: range ?? all)
      if !part.isEmpty {
        parts.append((shard.store, shard.offset + (part.lowerBound - start) * shard.width, shard.width, part.count))
      }
      start += shard.count
    }
    try self.init(parts)
  }

  /// -sum_t p_t ln p_t over the tokens' frequencies, nats.
  package var entropy: Double {
    frequencies.reduce(0.0) { sum, occurrences in
      if occurrences == 0 { return sum }
      let frequency = Double(occurrences) / Double(count)
      return sum - frequency * log(frequency)
    }
  }

  package func tokens(_ range: Range<Int>) throws -> [Int32] {
    try [Int32](unsafeUninitializedCapacity: range.count) { tokens, filled in
      try copy(range, into: tokens.baseAddress)
      filled = range.count
    }
  }

  /// What a step trains on, row-major [starts.count, sequence]: `inputs[b, t] = stream[starts[b] + t]`, and `targets`
  /// the same one token later. Every start must leave `sequence` + 1 tokens.
  package func windows(at starts: [Int], sequence: Int) throws -> (inputs: [Int32], targets: [Int32]) {
    (try rows(at: starts, length: sequence), try rows(at: starts.map { $0 + 1 }, length: sequence))
  }

  private func rows(at starts: [Int], length: Int) throws -> [Int32] {
    try [Int32](unsafeUninitializedCapacity: starts.count * length) { tokens, filled in
      for (row, start) in starts.enumerated() {
        try copy(start..<start + length, into: tokens.baseAddress.map { $0 + row * length })
      }
      filled = starts.count * length
    }
  }

  /// Segment by segment, widened in place: the raw bytes are read into the end of the room of their tokens.
  private func copy(_ range: Range<Int>, into tokens: UnsafeMutablePointer<Int32>?) throws {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "a window beyond the stream")
    guard let tokens, !range.isEmpty else { return }
    for segment in segments where segment.range.overlaps(range) {
      let part = segment.range.clamped(to: range)
      let out = UnsafeMutableRawPointer(tokens + (part.lowerBound - range.lowerBound))
      let room = UnsafeMutableRawBufferPointer(start: out, count: 4 * part.count)
      let raw = UnsafeMutableRawBufferPointer(rebasing: room[(4 - segment.width) * part.count..<4 * part.count])
      try segment.store.read(
        into: raw, at: segment.offset + (part.lowerBound - segment.range.lowerBound) * segment.width)
      if segment.width == 4 { continue }
      for place in 0..<part.count {
        let token =
          segment.width == 1
          ? Int32(raw[place]) : Int32(raw.loadUnaligned(fromByteOffset: 2 * place, as: UInt16.self))
        out.storeBytes(of: token, toByteOffset: 4 * place, as: Int32.self)
      }
    }
  }
}

extension TokenStream: Equatable {
  /// The same tokens in the same widths, but for a collision of checksums.
  package static func == (a: TokenStream, b: TokenStream) -> Bool {
    a.count == b.count && a.checksum == b.checksum && a.frequencies == b.frequencies
  }
}
