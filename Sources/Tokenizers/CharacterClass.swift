/// What a pre-tokenizer's expression asks of a character: \p{L}, \p{N}, \s, or none of them.
///
/// Bytes that are not UTF-8 count one by one as none of them, so that any bytes can be split and none is lost.
enum CharacterClass: UInt8, Sendable {
  case other
  case letter
  case number
  case space

  /// The classes of U+0000 ... U+FFFF, found once; characters beyond are looked up when met.
  private static let basicPlane: [CharacterClass] = (0..<UInt32(0x10000)).map { code in
    Unicode.Scalar(code).map(look) ?? .other
  }

  /// Without the table: what it is made from.
  static func look(_ scalar: Unicode.Scalar) -> CharacterClass {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: .letter
    case .decimalNumber, .letterNumber, .otherNumber: .number
    default: scalar.properties.isWhitespace ? .space : .other
    }
  }

  static func of(_ scalar: UInt32) -> CharacterClass {
    if scalar < 0x10000 { return basicPlane.withUnsafeBufferPointer { $0[Int(scalar)] } }
    return Unicode.Scalar(scalar).map(look) ?? .other
  }
}

/// One character of a text: its value, and where the next one begins.
struct TextScalar {
  let value: UInt32
  let end: Int

  /// The character that begins at `position`; a byte that begins no well-formed one stands for itself, as U+FFFD.
  @inline(__always)
  init(_ text: UnsafeBufferPointer<UInt8>, at position: Int) {
    let first = text[position]
    if first < 0x80 {
      self.init(value: UInt32(first), end: position + 1)
    } else {
      self.init(long: text, at: position)
    }
  }

  private init(value: UInt32, end: Int) {
    self.value = value
    self.end = end
  }

  private init(long text: UnsafeBufferPointer<UInt8>, at position: Int) {
    let first = text[position]
    let (length, start, least): (Int, UInt32, UInt32) =
      switch first {
      case 0xc2...0xdf: (2, UInt32(first & 0x1f), 0x80)
      case 0xe0...0xef: (3, UInt32(first & 0x0f), 0x800)
      case 0xf0...0xf4: (4, UInt32(first & 0x07), 0x10000)
      default: (0, 0, 0)
      }
    var scalar = start
    var isWhole = length > 0 && length <= text.count - position
    if isWhole {
      for offset in 1..<length {
        let byte = text[position + offset]
        isWhole = isWhole && byte & 0xc0 == 0x80
        scalar = scalar << 6 | UInt32(byte & 0x3f)
      }
    }
    isWhole = isWhole && scalar >= least && scalar <= 0x10ffff && !(0xd800...0xdfff).contains(scalar)
    value = isWhole ? scalar : 0xfffd
    end = position + (isWhole ? length : 1)
  }
}
