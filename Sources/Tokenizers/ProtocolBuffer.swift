/// Walks one message of a protocol buffer: numbered fields, one after another; whatever a file says, it ends.
///
/// Groups and unknown wire types are refused; the depth is that of the caller's own code.
struct ProtocolBuffer {
  struct Fault: Error {
    let reason: String
  }

  enum Value {
    case number(UInt64)
    case fixed32(UInt32)
    case bytes(ArraySlice<UInt8>)

    var bytes: ArraySlice<UInt8> {
      get throws {
        if case .bytes(let bytes) = self { return bytes }
        throw Fault(reason: "a field that should hold bytes holds a number")
      }
    }

    var boolean: Bool {
      get throws { try number != 0 }
    }

    var number: UInt64 {
      get throws {
        if case .number(let number) = self { return number }
        throw Fault(reason: "a field that should hold a number does not")
      }
    }

    /// A finite one.
    var float: Float {
      get throws {
        if case .fixed32(let bits) = self, Float(bitPattern: bits).isFinite { return Float(bitPattern: bits) }
        throw Fault(reason: "a field that should hold a finite number does not")
      }
    }
  }

  private let bytes: ArraySlice<UInt8>
  private var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  /// The next field; nil at the end.
  mutating func next() throws -> (field: UInt64, value: Value)? {
    guard position < bytes.endIndex else { return nil }
    let tag = try varint()
    let value: Value
    switch tag & 7 {
    case 0: value = .number(try varint())
    case 1: value = .bytes(try take(8))
    case 2: value = .bytes(try take(try varint()))
    case 5: value = .fixed32(try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) })
    default: throw Fault(reason: "a field has the unknown wire type \(tag & 7)")
    }
    guard tag >> 3 > 0 else { throw Fault(reason: "a field has the number 0") }
    return (tag >> 3, value)
  }

  private mutating func varint() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard position < bytes.endIndex else { throw Fault(reason: "it is cut short") }
      let byte = bytes[position]
      position += 1
      if shift == 63, byte > 1 { break }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    throw Fault(reason: "a number is longer than 64 bits")
  }

  private mutating func take(_ count: UInt64) throws -> ArraySlice<UInt8> {
    guard count <= UInt64(bytes.endIndex - position) else { throw Fault(reason: "it is cut short") }
    defer { position += Int(count) }
    return bytes[position..<position + Int(count)]
  }
}
