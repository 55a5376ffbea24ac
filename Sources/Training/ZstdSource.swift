import Arrays
import Foundation

/// Unpacks Zstandard (RFC 8878), frames one after the other, with the system's libzstd; windows above its default of
/// 128 MB are refused by the library, so that no file decides how much memory is used.
final class ZstdSource: ByteSource {
  private typealias Make = @convention(c) () -> UnsafeMutableRawPointer?
  private typealias Free = @convention(c) (UnsafeMutableRawPointer?) -> Int
  private typealias Unpack =
    @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Int
  private typealias IsError = @convention(c) (Int) -> UInt32
  private typealias Name = @convention(c) (Int) -> UnsafePointer<CChar>?

  /// ZSTD_inBuffer and ZSTD_outBuffer.
  private struct Part {
    var start: UnsafeMutableRawPointer?
    var size: Int
    var position: Int
  }

  private let stream: UnsafeMutableRawPointer
  private let free: Free
  private let unpack: Unpack
  private let isError: IsError
  private let name: Name
  private var input: PackedInput
  private var isInside = true

  init(_ source: any ByteSource, _ quoted: String) throws {
    input = PackedInput(source, quoted)
    let buffer = input.buffer
    do {
      let functions = try PackedInput.functions(
        ["ZSTD_createDStream", "ZSTD_freeDStream", "ZSTD_decompressStream", "ZSTD_isError", "ZSTD_getErrorName"],
        of: "libzstd.so.1", package: "libzstd1", for: quoted)
      free = unsafeBitCast(functions[1], to: Free.self)
      unpack = unsafeBitCast(functions[2], to: Unpack.self)
      isError = unsafeBitCast(functions[3], to: IsError.self)
      name = unsafeBitCast(functions[4], to: Name.self)
      guard let stream = unsafeBitCast(functions[0], to: Make.self)() else {
        throw Refusal.failed("libzstd cannot start on \(quoted): it has no memory")
      }
      self.stream = stream
    } catch {
      buffer.deallocate()
      throw error
    }
  }

  deinit {
    _ = free(stream)
    input.buffer.deallocate()
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var output = Part(start: buffer.baseAddress, size: buffer.count, position: 0)
    while output.position < output.size {
      let hasMore = try input.refill()
      if !hasMore, !isInside { break }
      var part = Part(start: input.buffer.baseAddress, size: input.count, position: input.position)
      let before = output.position
      let code = unpack(stream, &output, &part)
      input.position = part.position
      if isError(code) != 0 { throw input.damaged(name(code).map { String(cString: $0) } ?? "libzstd's error") }
      isInside = code != 0
      // Without input the library may still have text to give; when it has none, the rest is missing.
      if !hasMore, isInside, output.position == before { throw input.damaged("its end is missing") }
    }
    return output.position
  }
}
