import FoundationEssentials

/// The checksum CRC-32C: the remainder of the message over GF(2), polynomial 0x1EDC6F41 (Castagnoli et al. 1993).
///
/// Reflected, started and ended by complement, as in RFC 3720: "123456789" gives 0xE3069283. It notices every change
/// within 32 consecutive bits, so every altered byte, and any other change but one in 2^32. Eight bytes a step by eight
/// tables (Kounavis and Berry 2005).
package struct CRC32C: Sendable {
  /// tables[256 k + b]: what byte b becomes after k more zero bytes.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 2048)
    for byte in 0..<256 {
      var remainder = UInt32(byte)
      for _ in 0..<8 { remainder = (remainder >> 1) ^ (remainder & 1 == 1 ? 0x82F6_3B78 : 0) }
      tables[byte] = remainder
    }
    for i in 256..<2048 {
      let previous = tables[i - 256]
      tables[i] = (previous >> 8) ^ tables[Int(previous & 0xFF)]
    }
    return tables
  }()

  private var remainder: UInt32 = 0xFFFF_FFFF

  package init() {}

  /// The checksum of all bytes seen so far.
  package var value: UInt32 { ~remainder }

  package mutating func update(_ bytes: some ContiguousBytes) {
    remainder = bytes.withUnsafeBytes { [remainder] bytes in
      CRC32C.tables.withUnsafeBufferPointer { CRC32C.divide(remainder, bytes, $0.baseAddress!) }
    }
  }

  private static func divide(
    _ remainder: UInt32, _ bytes: UnsafeRawBufferPointer, _ tables: UnsafePointer<UInt32>
  ) -> UInt32 {
    guard let start = bytes.baseAddress else { return remainder }
    var crc = remainder
    var offset = 0
    while offset &+ 8 <= bytes.count {
      let word = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) ^ UInt64(crc)
      let low = tables[1792 &+ Int(word & 0xFF)] ^ tables[1536 &+ Int(word &>> 8 & 0xFF)]
      let second = tables[1280 &+ Int(word &>> 16 & 0xFF)] ^ tables[1024 &+ Int(word &>> 24 & 0xFF)]
      let third = tables[768 &+ Int(word &>> 32 & 0xFF)] ^ tables[512 &+ Int(word &>> 40 & 0xFF)]
      let high = tables[256 &+ Int(word &>> 48 & 0xFF)] ^ tables[Int(word &>> 56)]
      crc = (low ^ second) ^ (third ^ high)
      offset &+= 8
    }
    while offset < bytes.count {
      crc = (crc &>> 8) ^ tables[Int((crc ^ UInt32(bytes[offset])) & 0xFF)]
      offset &+= 1
    }
    return crc
  }

  package static func checksum(_ bytes: some ContiguousBytes) -> UInt32 {
    var crc = CRC32C()
    crc.update(bytes)
    return crc.value
  }

  /// The checksum as TFRecord files store it: rotated right by 15 and moved by a constant, so that a record that holds
  /// checksums of its own is still checked.
  package static func masked(_ checksum: UInt32) -> UInt32 {
    (checksum >> 15 | checksum << 17) &+ 0xA282_EAD8
  }

  /// Eight lower-case hexadecimal digits.
  package static func text(_ checksum: UInt32) -> String {
    let digits = String(checksum, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}
