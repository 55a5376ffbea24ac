import Arrays
import Foundation

/// Unpacks gzip (RFC 1952), members one after the other, with the system's zlib.
final class GzipSource: ByteSource {
  private typealias Initialise = @convention(c) (UnsafeMutableRawPointer, Int32, UnsafePointer<CChar>, Int32) -> Int32
  private typealias Act = @convention(c) (UnsafeMutableRawPointer, Int32) -> Int32
  private typealias End = @convention(c) (UnsafeMutableRawPointer) -> Int32

  /// zlib's `z_stream` as 64-bit C lays it out; its size is checked by the library.
  private struct Stream {
    var input: UnsafeMutableRawPointer?
    var inputCount: UInt32 = 0
    var inputTotal: UInt = 0
    var output: UnsafeMutableRawPointer?
    var outputCount: UInt32 = 0
    var outputTotal: UInt = 0
    var message: UnsafePointer<CChar>?
    var state: UnsafeMutableRawPointer?
    var allocate: UnsafeMutableRawPointer?
    var release: UnsafeMutableRawPointer?
    var opaque: UnsafeMutableRawPointer?
    var kind: Int32 = 0
    var checksum: UInt = 0
    var reserved: UInt = 0
  }

  private let stream = UnsafeMutablePointer<Stream>.allocate(capacity: 1)
  private let inflate: Act
  private let reset: End
  private let finish: End
  private var input: PackedInput
  private enum State { case inside, between, over }
  private var state = State.inside

  init(_ source: any ByteSource, _ quoted: String) throws {
    input = PackedInput(source, quoted)
    let buffer = input.buffer
    do {
      let functions = try PackedInput.functions(
        ["inflateInit2_", "inflate", "inflateReset", "inflateEnd"], of: "libz.so.1", package: "zlib1g", for: quoted)
      let initialise = unsafeBitCast(functions[0], to: Initialise.self)
      inflate = unsafeBitCast(functions[1], to: Act.self)
      reset = unsafeBitCast(functions[2], to: End.self)
      finish = unsafeBitCast(functions[3], to: End.self)
      stream.initialize(to: Stream())
      // 15: the largest window; + 16: gzip's header and trailer, its checksum checked.
      let code = initialise(stream, 15 + 16, "1.2.11", Int32(MemoryLayout<Stream>.size))
      guard code == 0 else { throw Refusal.failed("zlib cannot start on \(quoted): its error \(code)") }
    } catch {
      buffer.deallocate()
      stream.deallocate()
      throw error
    }
  }

  deinit {
    _ = finish(stream)
    stream.deallocate()
    input.buffer.deallocate()
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var filled = 0
    while filled < buffer.count, state != .over {
      guard try input.refill() else {
        if state == .inside { throw input.damaged("its end is missing") }
        state = .over
        break
      }
      if state == .between {
        // Archives are padded with zeros; anything else must be another member.
        if input.buffer[input.position] == 0 {
          input.position += 1
          continue
        }
        guard reset(stream) == 0 else { throw input.damaged("zlib cannot go on") }
        state = .inside
      }
      stream.pointee.input = input.buffer.baseAddress! + input.position
      stream.pointee.inputCount = UInt32(input.count - input.position)
      let room = min(buffer.count - filled, 1 << 30)
      stream.pointee.output = buffer.baseAddress! + filled
      stream.pointee.outputCount = UInt32(room)
      let code = inflate(stream, 0)
      input.position = input.count - Int(stream.pointee.inputCount)
      filled += room - Int(stream.pointee.outputCount)
      switch code {
      case 0: continue
      case 1: state = .between
      case -5 where input.position == input.count: continue
      default: throw input.damaged(stream.pointee.message.map { String(cString: $0) } ?? "zlib's error \(code)")
      }
    }
    return filled
  }
}
