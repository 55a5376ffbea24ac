import Arrays

/// JSON of unknown shape from hostile bytes: RFC 8259 and nothing more, at most `deepest` levels deep.
///
/// Strings are bytes of well-formed UTF-8, compared as bytes: Swift's `String` takes two spellings of "é" for one, which
/// would merge two entries of a vocabulary. Members keep their order; a name given twice is refused.
/// - A value takes at most some twenty times the bytes that spell it, so that a limit on the file is one on the memory.
package indirect enum JSONValue: Sendable, Equatable {
  case null
  case boolean(Bool)
  /// As written; what it is worth is asked for with ``integer`` or ``double``.
  case number(String)
  case string([UInt8])
  case array([JSONValue])
  case object([Member])

  package struct Member: Sendable, Equatable {
    package let name: [UInt8]
    package let value: JSONValue
  }

  /// Levels of arrays and objects inside one another.
  package static let deepest = 64

  /// - Parameter place: begins the sentence of a refusal: a path, or a path and a line.
  package init(parsing bytes: some Collection<UInt8>, at place: String) throws {
    do {
      let value = try bytes.withContiguousStorageIfAvailable { try JSONValue.parse($0) }
      if let value {
        self = value
      } else {
        self = try Array(bytes).withUnsafeBufferPointer { try JSONValue.parse($0) }
      }
    } catch let fault as JSONParser.Fault {
      throw Refusal.badInput(
        "\(place) is not valid JSON: \(fault.reason) at byte \(fault.position); get a good copy of it")
    }
  }

  private static func parse(_ bytes: UnsafeBufferPointer<UInt8>) throws -> JSONValue {
    var parser = JSONParser(bytes)
    return try parser.whole()
  }

  package subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name.elementsEqual(name.utf8) }?.value
  }

  package var isNull: Bool { self == .null }

  package var boolean: Bool? {
    if case .boolean(let value) = self { return value }
    return nil
  }

  /// A whole number, however it is written ("4096", "4.096e3"), that an Int and a Double hold exactly.
  package var integer: Int? {
    guard case .number(let text) = self else { return nil }
    if let value = Int(text) { return value }
    return Double(text).flatMap { abs($0) <= 0x1p53 ? Int(exactly: $0) : nil }
  }

  /// The nearest Double; nil beyond its range.
  package var double: Double? {
    guard case .number(let text) = self, let value = Double(text), value.isFinite else { return nil }
    return value
  }

  package var bytes: [UInt8]? {
    if case .string(let bytes) = self { return bytes }
    return nil
  }

  package var string: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

  package var array: [JSONValue]? {
    if case .array(let values) = self { return values }
    return nil
  }

  package var members: [Member]? {
    if case .object(let members) = self { return members }
    return nil
  }

  /// What kind of value it is, for sentences.
  package var kind: String {
    switch self {
    case .null: "null"
    case .boolean(let value): "\(value)"
    case .number(let text): "the number \(text.prefix(40))"
    case .string(let bytes): "the string \(String(decoding: bytes.prefix(60), as: UTF8.self).debugDescription)"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

/// Recursive descent over bytes in memory.
private struct JSONParser {
  struct Fault: Error {
    let reason: String
    let position: Int
  }

  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0
  private var depth = 0

  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  mutating func whole() throws -> JSONValue {
    let value = try value()
    skipSpace()
    if position < bytes.count { throw fault("something follows the end") }
    return value
  }

  private func fault(_ reason: String) -> Fault { Fault(reason: reason, position: position) }

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x0a, 0x0d, 0x09].contains(bytes[position]) { position += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func word(_ word: StaticString) throws {
    let length = word.utf8CodeUnitCount
    guard length <= bytes.count - position,
      (0..<length).allSatisfy({ bytes[position + $0] == word.utf8Start[$0] })
    else { throw fault("\(word) is misspelled") }
    position += length
  }

  private mutating func value() throws -> JSONValue {
    skipSpace()
    guard position < bytes.count else { throw fault("it ends early") }
    switch bytes[position] {
    case UInt8(ascii: "{"): return try nested { try $0.object() }
    case UInt8(ascii: "["): return try nested { try $0.list() }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"):
      try word("true")
      return .boolean(true)
    case UInt8(ascii: "f"):
      try word("false")
      return .boolean(false)
    case UInt8(ascii: "n"):
      try word("null")
      return .null
    default: return .number(try number())
    }
  }

  private mutating func nested(_ read: (inout JSONParser) throws -> JSONValue) throws -> JSONValue {
    guard depth < JSONValue.deepest else { throw fault("it is more than \(JSONValue.deepest) levels deep") }
    depth += 1
    defer { depth -= 1 }
    position += 1
    return try read(&self)
  }

  private mutating func list() throws -> JSONValue {
    var values: [JSONValue] = []
    if take("]") { return .array([]) }
    repeat { values.append(try value()) } while take(",")
    guard take("]") else { throw fault("a list lacks a comma or its end") }
    return .array(values)
  }

  private mutating func object() throws -> JSONValue {
    var members: [JSONValue.Member] = []
    if take("}") { return .object([]) }
    // Few names are compared one by one; many go into a set.
    var names = Set<[UInt8]>()
    repeat {
      skipSpace()
      let name = try string()
      let isNew: Bool
      if members.count < 8 {
        isNew = !members.contains { $0.name == name }
      } else {
        if names.isEmpty { names = Set(members.map(\.name)) }
        isNew = names.insert(name).inserted
      }
      guard isNew else { throw fault("a name is given twice in one object") }
      guard take(":") else { throw fault("a name lacks its colon") }
      members.append(JSONValue.Member(name: name, value: try value()))
    } while take(",")
    guard take("}") else { throw fault("an object lacks a comma or its end") }
    return .object(members)
  }

  /// -? (0 | 1-9 digits) (. digits)? (e [+-]? digits)?
  private mutating func number() throws -> String {
    let start = position
    func isDigit(_ at: Int) -> Bool { at < bytes.count && (0x30...0x39).contains(bytes[at]) }
    func isOne(_ at: Int, of characters: String) -> Bool { at < bytes.count && characters.utf8.contains(bytes[at]) }
    var end = position
    if isOne(end, of: "-") { end += 1 }
    guard isDigit(end) else { throw fault("a value was expected") }
    let leadingZero = bytes[end] == 0x30
    end += 1
    while isDigit(end) {
      if leadingZero { throw fault("a number begins with a zero") }
      end += 1
    }
    if isOne(end, of: ".") {
      end += 1
      guard isDigit(end) else { throw fault("a number has no digit after its point") }
      while isDigit(end) { end += 1 }
    }
    if isOne(end, of: "eE") {
      end += 1
      if isOne(end, of: "+-") { end += 1 }
      guard isDigit(end) else { throw fault("a number has no digit in its exponent") }
      while isDigit(end) { end += 1 }
    }
    position = end
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  private mutating func string() throws -> [UInt8] {
    do {
      return try JSONText.read(bytes, at: &position)
    } catch .expected(let what, let place) {
      throw Fault(reason: "\(what) was expected", position: place)
    } catch .string(let what, let place) {
      throw Fault(reason: "a string \(what)", position: place)
    }
  }
}
