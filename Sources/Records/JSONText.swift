/// A string of JSON, out of hostile bytes.
package enum JSONText {
  package enum Fault: Error {
    /// What the byte at `position` should be: "an escape".
    case expected(String, position: Int)
    /// What the string does that it must not: "has no end".
    case string(String, position: Int)
  }

  /// The content of the string that begins at `position`, well-formed UTF-8; `position` is then behind it.
  package static func read(_ bytes: UnsafeBufferPointer<UInt8>, at position: inout Int) throws(Fault) -> [UInt8] {
    guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
      throw .expected("'\"'", position: position)
    }
    position += 1
    var content: [UInt8] = []
    var start = position
    while true {
      guard position < bytes.count else { throw .string("has no end", position: position) }
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") { break }
      guard byte >= 0x20 else { throw .string("holds a control character", position: position) }
      position += 1
      if byte == UInt8(ascii: "\\") {
        content += bytes[start..<position - 1]
        content += Array(String(Character(try escape(bytes, &position))).utf8)
        start = position
      }
    }
    content += bytes[start..<position]
    position += 1
    guard String(validating: content, as: UTF8.self) != nil else { throw .string("is not UTF-8", position: position) }
    return content
  }

  private static func escape(
    _ bytes: UnsafeBufferPointer<UInt8>, _ position: inout Int
  ) throws(Fault) -> Unicode.Scalar {
    guard position < bytes.count else { throw .expected("an escape", position: position) }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: throw .expected("an escape", position: position)
    }
    let first = try codeUnit(bytes, &position)
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard UTF16.isLeadSurrogate(first), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
      bytes[position + 1] == UInt8(ascii: "u")
    else { throw .expected("a surrogate pair", position: position) }
    position += 2
    let second = try codeUnit(bytes, &position)
    guard UTF16.isTrailSurrogate(second) else { throw .expected("a surrogate pair", position: position) }
    return UTF16.decode(UTF16.EncodedScalar([first, second]))
  }

  private static func codeUnit(_ bytes: UnsafeBufferPointer<UInt8>, _ position: inout Int) throws(Fault) -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard position < bytes.count, let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
        throw .expected("a hexadecimal digit", position: position)
      }
      unit = unit << 4 | UInt16(digit)
      position += 1
    }
    return unit
  }
}
