import CCUDA
import FakeCUDA
import Testing

@testable import Devices

/// The fake's wgmma descriptors, fragments and barriers against cases worked out by hand from the PTX ISA's tables and examples.
@Suite struct WarpgroupEmulationTests {
  /// "Matrix Descriptor Format": each field without its lowest four bits, at bits 0, 16 and 32; swizzling at 62.
  private func descriptor(start: UInt64, leading: UInt64, stride: UInt64, swizzling: UInt64) -> UInt64 {
    (start >> 4) | ((leading >> 4) << 16) | ((stride >> 4) << 32) | (swizzling << 62)
  }

  /// One example of "Canonical Layouts": its exact layout as strides in numbers, beside the encodings of LBO and SBO it lists.
  private struct Example {
    let name: String
    let bytes: Int32
    let isMNMajor: Bool
    /// Bits 29-16 and 45-32, as the example's table gives them.
    let leading: UInt64
    let stride: UInt64
    let swizzling: UInt64
    /// The shape and strides of the rows or columns, and of the steps, the fastest first.
    let mn: [(count: Int, stride: Int)]
    let k: [(count: Int, stride: Int)]
    /// log2 of the units that Swizzle<b, 4, 3> exchanges.
    let bits: Int
  }

  private static let examples = [
    // ((8,2),(4,4)):((4,32),(1,64))
    Example(
      name: "K-major, no swizzling, tf32", bytes: 4, isMNMajor: false, leading: 16, stride: 8, swizzling: 0,
      mn: [(8, 4), (2, 32)], k: [(4, 1), (4, 64)], bits: 0),
    // ((8,2),(4,4)):((8,64),(1,4)); LBO is assumed to be 1
    Example(
      name: "K-major, 32 bytes, tf32", bytes: 4, isMNMajor: false, leading: 1, stride: 16, swizzling: 3,
      mn: [(8, 8), (2, 64)], k: [(4, 1), (2, 4)], bits: 1),
    // ((8,1,2),(8,2)):((1,8,64),(8,128))
    Example(
      name: "MN-major, no swizzling, bf16", bytes: 2, isMNMajor: true, leading: 16, stride: 8, swizzling: 0,
      mn: [(8, 1), (2, 64)], k: [(8, 8), (2, 128)], bits: 0),
    // ((8,2,2),(8,2)):((1,8,128),(16,256))
    Example(
      name: "MN-major, 32 bytes, bf16", bytes: 2, isMNMajor: true, leading: 16, stride: 32, swizzling: 3,
      mn: [(8, 1), (2, 8), (2, 128)], k: [(8, 16), (2, 256)], bits: 1),
    // ((8,4,2),(8,2)):((1,8,256),(32,512))
    Example(
      name: "MN-major, 64 bytes, bf16", bytes: 2, isMNMajor: true, leading: 32, stride: 64, swizzling: 2,
      mn: [(8, 1), (4, 8), (2, 256)], k: [(8, 32), (2, 512)], bits: 2),
  ]

  @Test("A descriptor finds each number where the exact layouts of the PTX ISA's examples have it")
  func examples() {
    for example in Self.examples {
      let start: UInt64 = 2048
      let descriptor = start >> 4 | example.leading << 16 | example.stride << 32 | example.swizzling << 62
      func offset(_ index: Int, _ modes: [(count: Int, stride: Int)]) -> Int {
        var rest = index, sum = 0
        for mode in modes {
          sum += rest % mode.count * mode.stride
          rest /= mode.count
        }
        return sum
      }
      for mn in 0..<example.mn.reduce(1, { $0 * $1.count }) {
        for k in 0..<example.k.reduce(1, { $0 * $1.count }) {
          var address = Int(start) + (offset(mn, example.mn) + offset(k, example.k)) * Int(example.bytes)
          // Swizzle<b, 4, 3>: b bits from bit 4 + 3 on are added without carry to those from bit 4 on.
          for bit in 0..<example.bits where address >> (7 + bit) & 1 == 1 { address ^= 1 << (4 + bit) }
          let got = fake_operand_place(descriptor, example.bytes, example.isMNMajor ? 1 : 0, Int32(mn), Int32(k))
          #expect(Int(got) == address, "\(example.name): row \(mn), step \(k)")
        }
      }
    }
  }

  @Test("Places of a 128-byte pattern, worked out one by one")
  func swizzled() {
    // K-major: row 3 begins at 3 x 128 bytes, and its third 16 bytes (steps 16 to 23) are exchanged by 3: 2 becomes 1.
    let k = descriptor(start: 1024, leading: 16, stride: 1024, swizzling: 1)
    #expect(fake_operand_place(k, 2, 0, 3, 16) == 1024 + 3 * 128 + 1 * 16)
    // Row 9 is row 1 of the next eight, which begin a stride later; steps 0 to 7 are exchanged by 1.
    #expect(fake_operand_place(k, 2, 0, 9, 5) == 1024 + 1024 + 128 + 16 + 10)
    // MN-major: column 20 is in the third 16 bytes of step 5's line of 128, exchanged by 5: 2 becomes 7; number 4 of them.
    let mn = descriptor(start: 1024, leading: 4096, stride: 1024, swizzling: 1)
    #expect(fake_operand_place(mn, 2, 1, 20, 5) == 1024 + 5 * 128 + 7 * 16 + 8)
    // Column 64 is in the next 64, a leading offset later; step 8 in the next eight, a stride later.
    #expect(fake_operand_place(mn, 2, 1, 64, 8) == 1024 + 4096 + 1024)
  }

  @Test("A product of two numbers lands in the thread and register that the fragments' figures name")
  func fragments() {
    // (row, step, column) of one number of A and one of B; the thread and register of A's and of D's.
    for (_, step, column, fromThread, fromRegister, isHigh, toThread, toRegister) in [
      // Row 17 is row 1 of warp 1: lanes 36 to 39. Step 3: the second of lane 1's first register. Column 42 = 8 x 5 + 2.
      (17, 3, 42, 37, 0, true, 37, 20),
      // Row 58 is row 10 of warp 3: group 2, the second half. Step 12 = 8 + 4: lane 2's register 3. Column 7: lane 3, the odd one.
      (58, 12, 7, 106, 3, false, 107, 3),
    ] {
      var a = [UInt32](repeating: 0, count: 128 * 4), c = [Float](repeating: 0, count: 128 * 32)
      // 2 and 3 in bf16.
      a[fromThread * 4 + fromRegister] = 0x4000 << (isHigh ? 16 : 0)
      var shared = [UInt8](repeating: 0, count: 2048)
      // K-major without swizzling: tiles of 8 columns by 8 steps; 128 bytes between the two along the steps, 256 along the columns.
      let place = column / 8 * 256 + step / 8 * 128 + column % 8 * 16 + step % 8 * 2
      (shared[place], shared[place + 1]) = (0x40, 0x40)
      let b = descriptor(start: 1024, leading: 128, stride: 256, swizzling: 0)
      #expect(fake_group_product(&c, a, shared, shared.count, b, 0) == 0)
      #expect(c.indices.filter { c[$0] != 0 } == [toThread * 32 + toRegister] && c[toThread * 32 + toRegister] == 6)
      // What is there is added to; a descriptor that leaves the memory is refused.
      #expect(fake_group_product(&c, a, shared, shared.count, b, 0) == 0 && c[toThread * 32 + toRegister] == 12)
      #expect(fake_group_product(&c, a, shared, shared.count - 16, b, 0) == 1)
    }
  }

  @Test(
    "A box lands with its eighths exchanged as the PTX ISA's figure of 128 bytes has them, and zeros beyond the matrix")
  func box() throws {
    fake_reset()
    // [70 lines, 128 tokens], each number its place.
    let matrix = UnsafeMutablePointer<UInt16>.allocate(capacity: 70 * 128)
    defer { matrix.deallocate() }
    for i in 0..<70 * 128 { matrix[i] = UInt16(i) }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<fg_tensor_map>.size, alignment: 128)
    defer { memory.deallocate() }
    let map = memory.bindMemory(to: fg_tensor_map.self, capacity: 1)
    let maps = try #require(try fakeLibraries().tensorMaps)
    func encode(_ strides: [UInt64], _ box: [UInt32], swizzle: Int) -> Int32 {
      maps.encodeTiled!(
        map, Int32(FG_MAP_BF16), 2, matrix, [128, 70], strides, box, [1, 1], 0, Int32(swizzle),
        Int32(FG_MAP_PROMOTION_256), 0)
    }
    #expect(encode([250], [64, 64], swizzle: FG_MAP_SWIZZLE_128) != 0, "a stride that 16 does not divide")
    #expect(encode([256], [128, 64], swizzle: FG_MAP_SWIZZLE_128) != 0, "a box wider than the pattern")
    #expect(encode([256], [64, 64], swizzle: FG_MAP_SWIZZLE_128) == 0)
    var shared = [UInt16](repeating: 7, count: 64 * 64)
    #expect(fake_copy_box(&shared, map, 64, 64) == 0)
    // Line 0 lies as it was; of line 1 the first eighth is the second's; of line 5 the third (2) is the eighth (7).
    func eighths(_ range: Range<Int>, are first: Int) -> Bool {
      let expected: [UInt16] = range.map { UInt16(first + $0 - range.lowerBound) }
      return Array(shared[range]) == expected
    }
    #expect(eighths(0..<64, are: 64 * 128 + 64))
    #expect(eighths(72..<80, are: 65 * 128 + 64))
    #expect(eighths(376..<384, are: 69 * 128 + 64 + 16))
    // Six lines of the matrix are left.
    #expect(shared[(6 * 64)...].allSatisfy { $0 == 0 })
    #expect(fake_copy_box(&shared, [UInt8](repeating: 0, count: 128), 0, 0) == 1)
  }

  @Test("A product of two operands in shared memory is read from swizzled boxes, 16 steps further 32 bytes further")
  func products() {
    // A's box at 1024, B's behind it: 64 lines of 128 bytes each.
    var shared = [UInt8](repeating: 0, count: 2 * 8192), c = [Float](repeating: 0, count: 128 * 32)
    // A (58, 20) = 2 and B (7, 20) = 3: the third eighth, exchanged by 58 % 8 = 2 and by 7, number 4 of it.
    for (box, line, bits) in [(0, 58, UInt8(0x00)), (8192, 7, 0x40)] {
      let place = box + line * 128 + (2 ^ (line % 8)) * 16 + 4 * 2
      (shared[place], shared[place + 1]) = (bits, 0x40)
    }
    func box(_ start: UInt64) -> UInt64 { descriptor(start: start, leading: 16, stride: 1024, swizzling: 1) }
    // Steps 0 to 15 have nothing.
    #expect(
      fake_group_product_of_shared(&c, shared, shared.count, box(1024), box(9216)) == 0 && c.allSatisfy { $0 == 0 })
    #expect(fake_group_product_of_shared(&c, shared, shared.count, box(1024 + 32), box(9216 + 32)) == 0)
    // As above: row 58 and column 7 are thread 107's register 3.
    #expect(c.indices.filter { c[$0] != 0 } == [107 * 32 + 3] && c[107 * 32 + 3] == 6)
    #expect(fake_group_product_of_shared(&c, shared, shared.count - 8192, box(1024), box(9216)) == 1)
  }

  @Test("A barrier's phase ends when all have arrived and all bytes have landed, and the next awaits as many")
  func barrier() {
    var b = fake_barrier(2)
    // The phase before the first counts as ended.
    #expect(fake_barrier_has_ended(&b, 1) == 1 && fake_barrier_has_ended(&b, 0) == 0)
    #expect(fake_barrier_arrive(&b, 0) == 0 && fake_barrier_has_ended(&b, 0) == 0)
    #expect(fake_barrier_arrive(&b, 48) == 0 && fake_barrier_has_ended(&b, 0) == 0)
    // All have arrived: one more is a fault.
    #expect(fake_barrier_arrive(&b, 0) == 1)
    fake_barrier_complete(&b, 32)
    #expect(fake_barrier_has_ended(&b, 0) == 0)
    fake_barrier_complete(&b, 16)
    #expect(fake_barrier_has_ended(&b, 0) == 1 && fake_barrier_has_ended(&b, 1) == 0)
    // Bytes that land before they are expected are owed to the phase.
    fake_barrier_complete(&b, 16)
    #expect(fake_barrier_arrive(&b, 0) == 0 && fake_barrier_arrive(&b, 16) == 0)
    #expect(fake_barrier_has_ended(&b, 1) == 1 && fake_barrier_has_ended(&b, 0) == 0)
  }
}
