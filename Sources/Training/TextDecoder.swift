/// UTF-8 text with line ends of any kind in; the same text with LF line ends and no byte-order mark out.
///
/// Works piece by piece and in place, since the result is never longer than what came in. CRLF and lone CR become LF;
/// the byte-order mark EF BB BF is dropped at offset 0 only. Well-formed is what table 3-7 of the Unicode Standard
/// says: no overlong forms, no surrogates, nothing above U+10FFFF. Eight ASCII bytes without NUL and CR go at once.
package struct TextDecoder: Sendable {
  /// Where the text stops being text; offsets count bytes of the input from 0.
  package enum Fault: Error, Equatable {
    case nul(offset: Int)
    /// `offset` is the length of the longest prefix that is well-formed.
    case illFormed(offset: Int)
  }

  /// Input bytes so far.
  package private(set) var bytesRead = 0
  package private(set) var byteOrderMarks = 0
  /// CRLF and lone CR so far.
  package private(set) var lineEndsChanged = 0

  private var afterReturn = false
  /// Bytes that the character begun at `characterStart` still lacks, and the range of the next one.
  private var missing = 0
  private var low: UInt8 = 0x80
  private var high: UInt8 = 0xbf
  private var characterStart = 0

  package init() {}

  /// Decodes the next piece; the text is then the first n bytes of `piece`, n the result.
  ///
  /// The first piece must be the whole text or hold three bytes, since a byte-order mark is looked for there alone.
  package mutating func decode(_ piece: UnsafeMutableRawBufferPointer) throws(Fault) -> Int {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let tops: UInt64 = 0x8080_8080_8080_8080
    let returns: UInt64 = 0x0d0d_0d0d_0d0d_0d0d
    var read = 0
    var write = 0
    if bytesRead == 0, piece.count >= 3, piece[0] == 0xef, piece[1] == 0xbb, piece[2] == 0xbf {
      byteOrderMarks = 1
      read = 3
    }
    while read < piece.count {
      if missing == 0, !afterReturn, piece.count - read >= 8 {
        let word = piece.loadUnaligned(fromByteOffset: read, as: UInt64.self)
        // With every byte below 0x80, subtracting 1 from each sets a top bit exactly where some byte is 0.
        if (word | (word &- ones) | ((word ^ returns) &- ones)) & tops == 0 {
          piece.storeBytes(of: word, toByteOffset: write, as: UInt64.self)
          read += 8
          write += 8
          continue
        }
      }
      let byte = piece[read]
      if missing > 0 {
        guard low <= byte, byte <= high else { throw .illFormed(offset: characterStart) }
        missing -= 1
        (low, high) = (0x80, 0xbf)
      } else if byte == 0x0a, afterReturn {
        afterReturn = false
        read += 1
        continue
      } else {
        try begin(byte, at: bytesRead + read)
      }
      piece[write] = byte == 0x0d ? 0x0a : byte
      read += 1
      write += 1
    }
    bytesRead += piece.count
    return write
  }

  /// Refuses a text that ends inside a character.
  package func finish() throws(Fault) {
    if missing > 0 { throw .illFormed(offset: characterStart) }
  }

  /// Takes the first byte of a character.
  private mutating func begin(_ byte: UInt8, at offset: Int) throws(Fault) {
    afterReturn = byte == 0x0d
    characterStart = offset
    switch byte {
    case 0: throw .nul(offset: offset)
    case 0x0d: lineEndsChanged += 1
    case 0x01...0x7f: break
    case 0xc2...0xdf: expect(1, 0x80, 0xbf)
    case 0xe0: expect(2, 0xa0, 0xbf)
    case 0xed: expect(2, 0x80, 0x9f)
    case 0xe1...0xef: expect(2, 0x80, 0xbf)
    case 0xf0: expect(3, 0x90, 0xbf)
    case 0xf1...0xf3: expect(3, 0x80, 0xbf)
    case 0xf4: expect(3, 0x80, 0x8f)
    default: throw .illFormed(offset: offset)
    }
  }

  private mutating func expect(_ count: Int, _ low: UInt8, _ high: UInt8) {
    (missing, self.low, self.high) = (count, low, high)
  }
}
