import Arrays
import Foundation
import Testing
import Training

@Suite("Text decoder")
struct TextDecoderTests {
  private enum Outcome: Equatable {
    case text([UInt8], byteOrderMarks: Int, lineEnds: Int)
    case fault(TextDecoder.Fault)
  }

  /// `input` in pieces of `piece` bytes, the first one of at least three.
  private func decode(_ input: [UInt8], piece: Int = .max) -> Outcome {
    var decoder = TextDecoder()
    var text: [UInt8] = []
    do throws(TextDecoder.Fault) {
      var start = 0
      while start < input.count {
        let size = min(start == 0 ? max(piece, 3) : piece, input.count - start)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: input[start..<start + size])
        let kept = try decoder.decode(buffer)
        text += buffer[..<kept]
        start += size
      }
      try decoder.finish()
    } catch {
      return .fault(error)
    }
    return .text(text, byteOrderMarks: decoder.byteOrderMarks, lineEnds: decoder.lineEndsChanged)
  }

  /// The same by the standard library's validation and Foundation's replacements.
  private func expected(_ input: [UInt8]) -> Outcome {
    let valid = (0...input.count).last { String(validating: input[..<$0], as: UTF8.self) != nil }!
    if let nul = input[..<valid].firstIndex(of: 0) { return .fault(.nul(offset: nul)) }
    if valid < input.count { return .fault(.illFormed(offset: valid)) }
    let marked = input.starts(with: [0xef, 0xbb, 0xbf])
    let text = String(decoding: input.dropFirst(marked ? 3 : 0), as: UTF8.self)
    let changed = text.unicodeScalars.count { $0 == "\r" }
    let result = text.replacingOccurrences(of: "\r\n", with: "\n").replacingOccurrences(of: "\r", with: "\n")
    return .text(Array(result.utf8), byteOrderMarks: marked ? 1 : 0, lineEnds: changed)
  }

  @Test("agrees with the standard library on every string of one and of two bytes")
  func allPairs() {
    for first in UInt8.min...UInt8.max {
      #expect(decode([first]) == expected([first]))
      for second in UInt8.min...UInt8.max {
        let input = [first, second]
        if decode(input) != expected(input) { Issue.record("differs on \(input)") }
      }
    }
  }

  /// Bytes at which the rules of well-formedness change, and the ones with a meaning of their own.
  private static let edges: [UInt8] = [
    0x00, 0x0a, 0x0d, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbb, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
    0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
  ]

  @Test("agrees with the standard library on strings of three and four bytes at the edges of the rules")
  func edgeStrings() {
    for first in Self.edges where first >= 0xc2 {
      for second in Self.edges where second >= 0x7f {
        for third in Self.edges {
          let three = [first, second, third]
          if decode(three) != expected(three) { Issue.record("differs on \(three)") }
          for fourth in [0x41, 0x7f, 0x80, 0xbf, 0xc0] as [UInt8] where first >= 0xf0 {
            let four = three + [fourth]
            if decode(four) != expected(four) { Issue.record("differs on \(four)") }
          }
        }
      }
    }
  }

  @Test("agrees with the standard library on random mixtures, cut into pieces of any size", arguments: 0..<8)
  func randomMixtures(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed), "decoder mixtures")
    let parts: [[UInt8]] =
      ["a", "seven b", "twelve bytes", "\n", "\r", "\r\n", "\r\r\n", "é", "€", "𝄞", "\u{feff}", "\u{10ffff}"]
      .map { Array($0.utf8) }
    for _ in 0..<250 {
      var input: [UInt8] = generator.index(below: 4) == 0 ? [0xef, 0xbb, 0xbf] : []
      for _ in 0..<generator.index(below: 14) { input += parts[generator.index(below: parts.count)] }
      if generator.index(below: 3) == 0, !input.isEmpty {
        input[generator.index(below: input.count)] = Self.edges[generator.index(below: Self.edges.count)]
      }
      if generator.index(below: 4) == 0, !input.isEmpty { input.removeLast() }
      let oracle = expected(input)
      for piece in [1, 2, 3, 7, 8, 9, .max] where decode(input, piece: piece) != oracle {
        Issue.record("differs on \(input) in pieces of \(piece)")
      }
    }
  }

  @Test("NUL, CR and bytes beyond ASCII are seen at each of sixteen places")
  func everyLane() {
    for place in 0..<16 {
      for byte in [0x00, 0x01, 0x0c, 0x0d, 0x0e, 0x7f, 0x80, 0x8d, 0xff] as [UInt8] {
        var input = [UInt8](repeating: 0x61, count: 16)
        input[place] = byte
        #expect(decode(input) == expected(input))
      }
    }
  }
}
