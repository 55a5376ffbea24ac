import Arrays
import FoundationEssentials
import Glibc
import Records

/// A safetensors file that was checked when it was opened (see ``SafetensorsHeader``); tensors are read when asked for.
///
/// Numbers are little-endian and may lie unaligned, so that bytes are always copied, never seen as numbers in place. The
/// file stays open, and is read at positions: should it shrink meanwhile, reading is refused.
package struct Safetensors: Sendable {
  package typealias Tensor = SafetensorsHeader.Tensor

  private enum Source: Sendable {
    case file(OpenFile)
    case memory([UInt8])
  }

  private let source: Source
  /// Where it came from, for sentences.
  package let path: String
  package let metadata: [String: String]
  package let tensors: [String: Tensor]

  package init(contentsOf url: URL) throws { try self.init(OpenFile(reading: url.path)) }

  package init(_ file: OpenFile) throws {
    let size = try file.size()
    let length = try SafetensorsHeader.length(try file.bytes(0..<min(8, size)), fileSize: size, path: file.path)
    self.init(
      .file(file), file.path, try SafetensorsHeader(file.bytes(8..<8 + length), fileSize: size, path: file.path))
  }

  /// A file that is in memory; `path` is what sentences call it.
  package init(bytes: [UInt8], path: String) throws {
    let length = try SafetensorsHeader.length(Array(bytes.prefix(8)), fileSize: bytes.count, path: path)
    let header = try SafetensorsHeader(Array(bytes[8..<8 + length]), fileSize: bytes.count, path: path)
    self.init(.memory(bytes), path, header)
  }

  private init(_ source: Source, _ path: String, _ header: SafetensorsHeader) {
    self.source = source
    self.path = path
    self.metadata = header.metadata
    self.tensors = header.tensors
  }

  /// The tensor of this name and, where given, of this shape.
  package func tensor(_ name: String, shape: [Int]? = nil) throws -> Tensor {
    guard let tensor = tensors[name] else {
      throw Refusal.badInput("\(path) has no tensor \(quoted(name)); check that it is the right file")
    }
    guard shape == nil || shape == tensor.shape else {
      throw Refusal.badInput(
        "\(path): tensor \(quoted(name)) has shape \(tensor.shape) where \(shape!) is needed; check that it is the right file"
      )
    }
    return tensor
  }

  /// The bytes as they are in the file.
  package func bytes(_ name: String) throws -> [UInt8] {
    let tensor = try tensor(name)
    return try array(tensor, name) { try read(tensor.range.lowerBound, into: UnsafeMutableRawBufferPointer($0)) }
  }

  /// F32 as it is, F16 and BF16 exactly, F64 rounded to nearest; other dtypes are refused.
  package func floats(_ name: String, shape: [Int]? = nil) throws -> [Float] {
    let tensor = try tensor(name, shape: shape)
    return try array(tensor, name) { try read(tensor, name, into: $0) }
  }

  /// Like ``floats(_:shape:)``, into memory that the caller owns; refused unless it has as many elements.
  package func readFloats(_ name: String, shape: [Int]? = nil, into floats: UnsafeMutableBufferPointer<Float>) throws {
    let tensor = try tensor(name, shape: shape)
    guard tensor.count == floats.count else {
      throw Refusal.badInput(
        "\(path): tensor \(quoted(name)) has \(tensor.count) elements where \(floats.count) are needed; "
          + "check that it is the right file")
    }
    try read(tensor, name, into: floats)
  }

  /// F64 as it is; F32, F16 and BF16 exactly; other dtypes are refused.
  package func doubles(_ name: String, shape: [Int]? = nil) throws -> [Double] {
    let tensor = try tensor(name, shape: shape)
    return try array(tensor, name) { out in
      switch tensor.dtype {
      case .f64: try read(tensor.range.lowerBound, into: UnsafeMutableRawBufferPointer(out))
      case .f32: try convert(tensor, as: UInt32.self, into: out) { Double(Float(bitPattern: $0)) }
      case .f16: try convert(tensor, as: UInt16.self, into: out) { Double(Float(half: $0)) }
      case .bf16: try convert(tensor, as: UInt16.self, into: out) { Double(Float(brain: $0)) }
      default: throw wrongType(name, tensor, "F64, F32, F16 or BF16")
      }
    }
  }

  /// Any integer dtype; refused where a value does not fit.
  package func int32s(_ name: String, shape: [Int]? = nil) throws -> [Int32] {
    let tensor = try tensor(name, shape: shape)
    func narrow(_ value: some FixedWidthInteger) throws -> Int32 {
      guard let value = Int32(exactly: value) else {
        throw Refusal.badInput(
          "\(path): tensor \(quoted(name)) holds \(value), which 32 bits cannot hold; check that it is the right file")
      }
      return value
    }
    return try array(tensor, name) { out in
      switch tensor.dtype {
      case .i32: try read(tensor.range.lowerBound, into: UnsafeMutableRawBufferPointer(out))
      case .i8: try convert(tensor, as: Int8.self, into: out, narrow)
      case .u8: try convert(tensor, as: UInt8.self, into: out, narrow)
      case .i16: try convert(tensor, as: Int16.self, into: out, narrow)
      case .u16: try convert(tensor, as: UInt16.self, into: out, narrow)
      case .u32: try convert(tensor, as: UInt32.self, into: out, narrow)
      case .i64: try convert(tensor, as: Int64.self, into: out, narrow)
      case .u64: try convert(tensor, as: UInt64.self, into: out, narrow)
      default: throw wrongType(name, tensor, "an integer dtype")
      }
    }
  }

  private func quoted(_ name: String) -> String { SafetensorsHeader.quoted(name) }

  private func wrongType(_ name: String, _ tensor: Tensor, _ wanted: String) -> Refusal {
    .badInput(
      "\(path): tensor \(quoted(name)) is \(tensor.dtype.rawValue) where \(wanted) is needed; "
        + "check that it is the right file")
  }

  private func read(_ tensor: Tensor, _ name: String, into out: UnsafeMutableBufferPointer<Float>) throws {
    switch tensor.dtype {
    case .f32: try read(tensor.range.lowerBound, into: UnsafeMutableRawBufferPointer(out))
    case .f64: try convert(tensor, as: UInt64.self, into: out) { Float(Double(bitPattern: $0)) }
    case .f16: try convert(tensor, as: UInt16.self, into: out) { Float(half: $0) }
    case .bf16: try convert(tensor, as: UInt16.self, into: out) { Float(brain: $0) }
    default: throw wrongType(name, tensor, "F32, F64, F16 or BF16")
    }
  }

  /// One element of the result for each of the tensor, or each of its bytes; refused above the machine's memory.
  private func array<Element>(
    _ tensor: Tensor, _ name: String, _ fill: (UnsafeMutableBufferPointer<Element>) throws -> Void
  ) throws -> [Element] {
    let count = Element.self == UInt8.self ? tensor.range.count : tensor.count
    let memory = Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE)))
    guard count <= memory / MemoryLayout<Element>.stride else {
      throw Refusal.failed(
        "\(path): tensor \(quoted(name)) has \(count) elements, which this machine's memory cannot hold; use a larger machine"
      )
    }
    return try [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      try fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      initialized = count
    }
  }

  private func read(_ position: Int, into out: UnsafeMutableRawBufferPointer) throws {
    switch source {
    case .file(let file): try file.read(into: out, at: position)
    case .memory(let bytes): out.copyBytes(from: bytes[position..<position + out.count])
    }
  }

  /// Element by element, through a block that is small against the tensor.
  private func convert<Raw: FixedWidthInteger, Element>(
    _ tensor: Tensor, as raw: Raw.Type, into out: UnsafeMutableBufferPointer<Element>,
    _ element: (Raw) throws -> Element
  ) throws {
    let block = UnsafeMutableBufferPointer<Raw>.allocate(capacity: 1 << 16)
    defer { block.deallocate() }
    for start in stride(from: 0, to: tensor.count, by: block.count) {
      let part = UnsafeMutableBufferPointer(rebasing: block[..<min(block.count, tensor.count - start)])
      try read(
        tensor.range.lowerBound + start * MemoryLayout<Raw>.size, into: UnsafeMutableRawBufferPointer(part))
      for i in 0..<part.count { out.initializeElement(at: start + i, to: try element(part[i])) }
    }
  }
}

extension Float {
  /// IEEE binary16, exactly.
  init(half bits: UInt16) { self = Float(Float16(bitPattern: bits)) }

  /// bfloat16, the upper half of a Float, exactly.
  init(brain bits: UInt16) { self.init(bitPattern: UInt32(bits) << 16) }

  /// bfloat16, rounded to nearest, ties to even; a NaN stays one.
  var brainBits: UInt16 {
    if isNaN { return UInt16(truncatingIfNeeded: bitPattern >> 16) | 0x40 }
    return UInt16(truncatingIfNeeded: (bitPattern + 0x7FFF + (bitPattern >> 16 & 1)) >> 16)
  }
}
