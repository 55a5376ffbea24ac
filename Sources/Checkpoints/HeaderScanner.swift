import Arrays
import Records

/// Reads JSON of a known shape from hostile bytes: the caller asks for what must come next, so that nesting has the depth
/// of the caller's own code and nothing is built before it is checked.
struct HeaderScanner {
  /// Why the bytes are not what was asked for; ends a sentence.
  struct Mismatch: Error {
    let reason: String
  }

  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private func mismatch(_ expected: String) -> Mismatch {
    Mismatch(reason: "byte \(position) of its header should be \(expected)")
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws {
    guard take(character) else { throw mismatch("'\(character)'") }
  }

  /// Refuses anything but white space up to the end.
  mutating func end() throws {
    skipSpace()
    if position < bytes.count { throw mismatch("its end") }
  }

  /// `{ "key": ..., ... }`: calls `member` at each value, which it must read.
  mutating func object(_ member: (inout HeaderScanner, _ key: String) throws -> Void) throws {
    try expect("{")
    if take("}") { return }
    repeat {
      let key = try string()
      try expect(":")
      try member(&self, key)
    } while take(",")
    try expect("}")
  }

  /// `[1, 2, ...]` of at most `limit` whole numbers.
  mutating func integers(limit: Int) throws -> [Int] {
    try expect("[")
    if take("]") { return [] }
    var integers: [Int] = []
    repeat {
      if integers.count == limit { throw Mismatch(reason: "a list in its header has more than \(limit) numbers") }
      integers.append(try integer())
    } while take(",")
    try expect("]")
    return integers
  }

  /// A whole number, not negative, without exponent or leading zeros.
  private mutating func integer() throws -> Int {
    skipSpace()
    let start = position
    var value = 0
    while let byte = next, (0x30...0x39).contains(byte) {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(Int(byte - 0x30))
      if overflow || carry { throw Mismatch(reason: "a number in its header is too large") }
      value = sum
      position += 1
    }
    let digits = position - start
    guard digits > 0, digits == 1 || bytes[start] != 0x30 else {
      position = start
      throw mismatch("a whole number")
    }
    return value
  }

  mutating func string() throws -> String {
    skipSpace()
    do {
      var place = position
      let content = try bytes.withUnsafeBufferPointer { bytes throws(JSONText.Fault) in
        try JSONText.read(bytes, at: &place)
      }
      position = place
      return String(decoding: content, as: UTF8.self)
    } catch .expected(let what, let place) {
      throw Mismatch(reason: "byte \(place) of its header should be \(what)")
    } catch .string(let what, _) {
      throw Mismatch(reason: "a string in its header \(what)")
    }
  }
}
