import Arrays
import CCUDA
import FakeCUDA
import Foundation
import Testing

@testable import Devices

/// What the device says when the driver, a library or the GPU fails, and what it leaves behind.
@Suite struct DriverTests {
  private func refusal(_ body: () throws -> Void) throws -> Refusal {
    try #require(throws: Refusal.self) { try body() }
  }

  private func product(on device: CUDADevice) throws -> [Float] {
    let grid = try BlockGrid(
      outputs: .contiguous(groups: 2, members: 16), inputs: .contiguous(groups: 2, members: 16), rowStart: [0, 1, 2],
      column: [1, 0])
    let values = try device.makeVector([Float](repeating: 1, count: 512))
    let x = try device.makeActivations([Float](repeating: 1, count: 32), tokens: 1, features: 32)
    let y = try device.makeActivations(tokens: 1, features: 32)
    try device.multiply(grid, values, x, into: y, accumulate: false)
    return try device.rows(y)
  }

  @Test("Without a driver, a GPU, or that many GPUs, the device is missing, and says so")
  func missing() throws {
    fake_reset()
    fake_hide("cu")
    var found = try refusal { _ = try fakeDevice(.bf16) }
    #expect(found.kind == .missing && found.sentence.contains("driver"))
    fake_reset()
    fake_set_devices(0)
    found = try refusal { _ = try fakeDevice(.bf16) }
    #expect(found.kind == .missing && found.sentence.contains("no GPU"))
    fake_reset()
    fake_fail("cuInit", 1, 100)
    found = try refusal { _ = try fakeDevice(.bf16) }
    #expect(found.kind == .missing && found.sentence.contains("no GPU"))
    fake_reset()
    found = try refusal { _ = try CUDADevice(fakeLibraries(), index: 3, precision: .bf16) }
    #expect(found.kind == .missing && found.sentence.contains("cuda:3"))
    #expect(fake_live_objects() == 0)
  }

  @Test("Without NVRTC no kernel runs, without cuBLASLt no dense product, and each sentence names the library")
  func missingLibraries() throws {
    fake_reset()
    fake_hide("nvrtc")
    var found = try refusal { _ = try product(on: fakeDevice(.bf16)) }
    #expect(found.kind == .missing && found.sentence.contains("NVRTC"))
    fake_reset()
    fake_hide("cublasLt")
    let device = try fakeDevice(.bf16)
    #expect(try product(on: device).allSatisfy { $0 == 16 })
    let x = try device.makeActivations(tokens: 1, features: 4), values = try device.makeVector(count: 16)
    found = try refusal {
      try device.multiply(.dense(outputs: 4, inputs: 4), values, x, into: x, accumulate: false)
    }
    #expect(found.kind == .missing && found.sentence.contains("cuBLASLt"))
  }

  @Test(
    "A start that fails at any step leaves nothing behind",
    arguments: ["cuDevicePrimaryCtxRetain", "cuStreamCreate", "cuCtxSetCurrent", "cuDeviceGetAttribute"])
  func halfStarted(_ function: String) throws {
    fake_reset()
    fake_fail(function, 1, 999)
    let found = try refusal { _ = try fakeDevice(.bf16) }
    #expect(found.kind == .missing && found.sentence.contains("CUDA_ERROR_OF_THE_FAKE"))
    #expect(fake_live_objects() == 0 && fake_live_allocations() == 0)
  }

  @Test("Memory that cannot be had is refused with what is free, after what is spare was given back")
  func outOfMemory() throws {
    fake_reset()
    fake_set_memory(1 << 20)
    do {
      let device = try fakeDevice(.bf16)
      let found = try refusal { _ = try device.makeVector(count: 1 << 20) }
      #expect(found.kind == .failed && found.sentence.contains("4194304 bytes"))
      try device.withScratch(count: 200_000) { _ in }
      // The scratch is spare now: without it there is room.
      let vector = try device.makeVector(count: 200_000)
      #expect(vector.count == 200_000)
      #expect(try refusal { _ = try device.makeVector(count: .max / 2) }.kind == .badInput)
      #expect(try refusal { _ = try device.makeActivations(tokens: .max, features: 2) }.kind == .badInput)
    }
    #expect(fake_live_allocations() == 0 && fake_live_objects() == 0)
  }

  @Test("A GPU that is lost is a sentence at the next call, and everything is freed all the same")
  func lost() throws {
    fake_reset()
    do {
      let device = try fakeDevice(.bf16)
      #expect(try product(on: device).allSatisfy { $0 == 16 })
      let vector = try device.makeVector(count: 10)
      fake_lose_device(719)
      let found = try refusal { try device.clear(vector) }
      #expect(found.kind == .failed && found.sentence.contains("CUDA_ERROR_LAUNCH_FAILED"))
      #expect(try refusal { try device.synchronize() }.sentence.contains("--resume"))
    }
    #expect(fake_live_allocations() == 0 && fake_live_objects() == 0)
  }

  @Test("A launch that fails is a sentence that names the kernel; the next one goes on where the GPU does")
  func failedLaunch() throws {
    fake_reset()
    do {
      let device = try fakeDevice(.bf16)
      fake_fail("cuLaunchKernel", 1, 701)
      #expect(try refusal { _ = try product(on: device) }.sentence.contains("kernel"))
      #expect(try product(on: device).allSatisfy { $0 == 16 })
    }
    #expect(fake_live_allocations() == 0 && fake_live_objects() == 0 && fake_damaged_guards() == 0)
  }

  @Test("A kernel that does not compile is a sentence with the compiler's own words")
  func doesNotCompile() throws {
    fake_reset()
    fake_fail("nvrtcCompileProgram", 1, 6)
    let found = try refusal { _ = try product(on: fakeDevice(.bf16)) }
    #expect(found.kind == .failed && found.sentence.contains("error: the fake was told to fail"))
    #expect(fake_live_objects() == 0)
  }

  @Test("Buffers outlive their device, and free themselves on any thread")
  func outliving() throws {
    fake_reset()
    var vector: Vector? = try fakeDevice(.bf16).makeVector(count: 5)
    #expect(fake_live_allocations() == 1 && vector?.count == 5)
    let thread = Thread { [held = vector] in withExtendedLifetime(held) {} }
    vector = nil
    thread.start()
    while !thread.isFinished { usleep(1000) }
  }

  @Test("Machine code is kept with all it was made of, used again only for the same, and never trusted when damaged")
  func cache() throws {
    fake_reset()
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("filigree-cache-\(UUID())")
    defer { try? FileManager.default.removeItem(at: folder) }
    func device(_ precision: CUDAPrecision = .bf16) throws -> CUDADevice {
      try CUDADevice(fakeLibraries(), precision: precision, cache: folder)
    }
    #expect(try product(on: device()).allSatisfy { $0 == 16 })
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    #expect(!files.isEmpty && files.allSatisfy { $0.pathExtension == "cubin" })
    // From the cache alone: the compiler would fail.
    fake_fail("nvrtcCompileProgram", 1, 6)
    #expect(try product(on: device()).allSatisfy { $0 == 16 })
    #expect(try refusal { _ = try product(on: device(.fp32)) }.sentence.contains("cannot compile"))
    for file in files { try Data("filigree".utf8).write(to: file) }
    #expect(try product(on: device()).allSatisfy { $0 == 16 })
    for file in files { #expect(try Data(contentsOf: file).count > 1000) }
  }

  @Test("More than 48 KiB of shared memory is launched only by a kernel that was given leave")
  func sharedMemory() throws {
    fake_reset()
    let device = try fakeDevice(.fp32), driver = device.context.driver
    let function = try device.modules.function("read_all", of: "limits.cu", shared: 0)
    func launch(_ bytes: Int) -> Int32 {
      var arguments = fg_limit()
      return withUnsafeMutablePointer(to: &arguments) {
        var parameters: [UnsafeMutableRawPointer?] = [UnsafeMutableRawPointer($0)]
        return driver.launchKernel!(
          function, 1, 1, 1, 256, 1, 1, UInt32(bytes), device.context.stream, &parameters, nil)
      }
    }
    #expect(launch(48 << 10) == 0 && launch((48 << 10) + 16) == 1)
    _ = try device.modules.function("read_all", of: "limits.cu", shared: 64 << 10)
    #expect(launch(64 << 10) == 0 && launch((64 << 10) + 16) == 1)
    #expect(throws: Refusal.self) { _ = try device.modules.function("read_all", of: "limits.cu", shared: 1 << 20) }
  }

  @Test(
    "A candidate of cuBLASLt that fails is none: the next computes, then the own kernels, and a lost GPU ends the product"
  )
  func candidates() throws {
    for measuredFrom in [1, 1 << 40] {
      func product(_ prepare: () -> Void) throws -> [Float] {
        fake_reset()
        let device = try CUDADevice(fakeLibraries(), precision: .fp32, measuredFrom: measuredFrom)
        prepare()
        let values = try device.makeVector([Float](repeating: 1, count: 12))
        let x = try device.makeActivations([1, 2, 3, 4], tokens: 1, features: 4)
        let y = try device.makeActivations([1, 2, 3], tokens: 1, features: 3)
        for _ in 0..<2 { try device.multiply(.dense(outputs: 3, inputs: 4), values, x, into: y, accumulate: true) }
        return try device.rows(y)
      }
      let expected: [Float] = [21, 22, 23]
      for candidate in 0...2 {
        #expect(try product { fake_fail_candidate(Int32(candidate)) } == expected)
        #expect(fake_launches("grid_multiply") == 0)
      }
      // The first candidate fails at its first call, the second always.
      let none = try product {
        fake_fail_candidate(2)
        fake_fail("cublasLtMatmul", 1, 14)
      }
      #expect(none == expected && fake_launches("grid_multiply") == 2)
      for status: Int32 in [1, 7, 13, 14, 15] {
        #expect(try product { fake_fail("cublasLtMatmulAlgoGetHeuristic", 1, status) } == expected)
        #expect(fake_launches("grid_multiply") == 2, "\(status)")
      }
      #expect(fake_live_objects() == 0 && fake_live_allocations() == 0)
      let lost = try refusal {
        _ = try product {
          fake_fail("cublasLtMatmulAlgoGetHeuristic", 1, 14)
          fake_fail("cuStreamSynchronize", 1, 719)
        }
      }
      #expect(lost.kind == .failed && lost.sentence.contains("CUDA_ERROR_LAUNCH_FAILED"))
    }
  }

  @Test(
    "The dense product's candidates are measured once; the choice is kept, and taken again where it is still offered")
  func choices() throws {
    fake_reset()
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("filigree-choices-\(UUID())")
    defer { try? FileManager.default.removeItem(at: folder) }
    func product() throws -> [Float] {
      let device = try CUDADevice(fakeLibraries(), precision: .bf16, cache: folder, measuredFrom: 1)
      let values = try device.makeVector([Float](repeating: 1, count: 12))
      let x = try device.makeActivations([1, 2, 3, 4], tokens: 1, features: 4)
      let y = try device.makeActivations([1, 1, 1], tokens: 1, features: 3)
      // Measuring must not add to y.
      try device.multiply(.dense(outputs: 3, inputs: 4), values, x, into: y, accumulate: true)
      return try device.rows(y)
    }
    #expect(try product() == [11, 11, 11])
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    let file = try #require(files.first { $0.pathExtension == "txt" })
    let text = try String(contentsOf: file, encoding: .utf8)
    #expect(text.split(separator: "\n").count == 1)
    #expect(try product() == [11, 11, 11])
    #expect(try String(contentsOf: file, encoding: .utf8) == text)
    try Data(text.replacingOccurrences(of: "\t", with: "\t77").utf8).write(to: file)
    #expect(try product() == [11, 11, 11])
    #expect(fake_live_objects() == 0)
  }
}
