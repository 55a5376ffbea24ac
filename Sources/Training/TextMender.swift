/// Bytes that may not be UTF-8 in, UTF-8 out: every byte that belongs to no well-formed character becomes U+FFFD.
///
/// Works piece by piece; a character that a piece cuts in two waits for the next one.
package struct TextMender {
  package private(set) var replaced = 0
  private var waiting: [UInt8] = []

  package init() {}

  package mutating func mend(_ piece: UnsafeRawBufferPointer) -> [UInt8] {
    let text = waiting + piece
    waiting = []
    return mend(text, isLast: false)
  }

  /// What waited in vain for the rest of its character.
  package mutating func finish() -> [UInt8] {
    let text = waiting
    waiting = []
    return mend(text, isLast: true)
  }

  private mutating func mend(_ text: [UInt8], isLast: Bool) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var place = 0
    while place < text.count {
      let length = Self.length(text, place)
      if length > 0 {
        result += text[place..<place + length]
        place += length
      } else if !isLast, Self.mayGoOn(text, place) {
        waiting = Array(text[place...])
        break
      } else {
        result += [0xef, 0xbf, 0xbd]
        replaced += 1
        place += 1
      }
    }
    return result
  }

  /// Of the well-formed character at `place`; 0 where there is none.
  private static func length(_ text: [UInt8], _ place: Int) -> Int {
    let first = text[place]
    if first < 0x80 { return 1 }
    let length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2
    guard first >= 0xc2, first <= 0xf4, length <= text.count - place else { return 0 }
    return String(validating: text[place..<place + length], as: UTF8.self) == nil ? 0 : length
  }

  /// Whether the end of the text cuts what could be a character at `place`.
  private static func mayGoOn(_ text: [UInt8], _ place: Int) -> Bool {
    let rest = Array(text[place...])
    guard rest.count < 4, rest[0] >= 0xc2, rest[0] <= 0xf4 else { return false }
    let length = rest[0] >= 0xf0 ? 4 : rest[0] >= 0xe0 ? 3 : 2
    guard rest.count < length, rest.dropFirst().allSatisfy({ $0 & 0xc0 == 0x80 }) else { return false }
    guard rest.count > 1 else { return true }
    return switch rest[0] {
    case 0xe0: rest[1] >= 0xa0
    case 0xed: rest[1] < 0xa0
    case 0xf0: rest[1] >= 0x90
    case 0xf4: rest[1] < 0x90
    default: true
    }
  }
}
