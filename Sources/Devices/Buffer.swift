/// A piece of one device's memory, freed when the last reference goes.
///
/// On the CPU `address` is an ordinary pointer, aligned to 64 bytes; on another device it is that device's address and
/// must not be read by the host: only the device that made a buffer looks inside it.
public final class Buffer: @unchecked Sendable {
  public let address: UnsafeMutableRawPointer
  public let byteCount: Int
  private let release: @Sendable (UnsafeMutableRawPointer) -> Void

  package init(
    address: UnsafeMutableRawPointer, byteCount: Int, release: @escaping @Sendable (UnsafeMutableRawPointer) -> Void
  ) {
    self.address = address
    self.byteCount = byteCount
    self.release = release
  }

  deinit { release(address) }
}

/// `count` consecutive fp32 numbers of a device: the values of a structure, a moment of the optimiser, an arena.
public struct Vector: Sendable {
  package let buffer: Buffer
  /// In floats, from the start of the buffer.
  package let offset: Int
  public let count: Int

  package init(buffer: Buffer, offset: Int, count: Int) {
    precondition(offset >= 0 && count >= 0 && (offset + count) * 4 <= buffer.byteCount)
    self.buffer = buffer
    self.offset = offset
    self.count = count
  }

  /// The part `range` of these numbers; no copy.
  public subscript(range: Range<Int>) -> Vector {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return Vector(buffer: buffer, offset: offset + range.lowerBound, count: range.count)
  }
}

/// A matrix [T, features] of activations in the layout its device likes best.
///
/// On the CPU that is panels of 16 tokens, feature-major inside: [ceil(T/16), features, 16]. The lanes of the last panel
/// beyond T hold zeros: every primitive keeps them so.
public struct Activations: Sendable {
  package let buffer: Buffer
  public let tokens: Int
  public let features: Int

  package init(buffer: Buffer, tokens: Int, features: Int) {
    self.buffer = buffer
    self.tokens = tokens
    self.features = features
  }
}
