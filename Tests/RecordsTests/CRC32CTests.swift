import Arrays
import Foundation
import Testing

@testable import Records

struct CRC32CTests {
  /// Polynomial division bit by bit, the definition.
  private func division(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
    return ~crc
  }

  @Test(
    "the vectors of RFC 3720 come out",
    arguments: [
      ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
      (Array(0..<32), 0x46DD_794E), (Array((0..<32).reversed()), 0x113F_DB5C),
      (Array("123456789".utf8), 0xE306_9283), ([], 0),
    ] as [([UInt8], UInt32)])
  func vectors(bytes: [UInt8], checksum: UInt32) {
    #expect(CRC32C.checksum(bytes) == checksum)
  }

  @Test("it is the remainder of the division for every length, alignment and cut")
  func definition() {
    var generator = SeededGenerator(seed: 1)
    let bytes = (0..<400).map { _ in UInt8.random(in: 0...255, using: &generator) }
    for length in 0..<100 {
      let start = generator.index(below: 300)
      let cut = generator.index(below: length + 1)
      var crc = CRC32C()
      crc.update(bytes[start..<start + cut])
      crc.update(bytes[start + cut..<start + length])
      #expect(crc.value == division(bytes[start..<start + length]))
    }
  }

  @Test("the mask of TFRecord can be taken off again")
  func mask() {
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<100 {
      let checksum = UInt32.random(in: 0...UInt32.max, using: &generator)
      let turned = CRC32C.masked(checksum) &- 0xA282_EAD8
      #expect(turned >> 17 | turned << 15 == checksum)
    }
  }

  @Test("its text has eight digits, and a digest of a file is that of its bytes")
  func text() throws {
    #expect(CRC32C.text(0xAB) == "000000ab")
    try withTemporaryFolder { folder in
      let bytes = [UInt8](repeating: 7, count: 3_000_001)
      let url = folder.appending(path: "file")
      let written = try AtomicFile.write(bytes, to: url)
      #expect(written == FileDigest(bytes: 3_000_001, crc32c: CRC32C.checksum(bytes)))
      #expect(try FileDigest(of: OpenFile(reading: url.path)) == written)
    }
  }
}
