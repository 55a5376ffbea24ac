import Arrays
import FoundationEssentials
import Records

/// Writes a safetensors file tensor by tensor: nothing is held but what was given.
///
/// Equal tensors and metadata give equal bytes: tensors go by dtype, the largest first, then by name, as the reference
/// implementation orders them, so that all lie aligned; metadata by key; the header is padded with spaces to 8 bytes.
package struct SafetensorsWriter {
  /// Hands over a tensor's bytes, in order, in as many pieces as it likes.
  package typealias Content = (_ write: (UnsafeRawBufferPointer) throws -> Void) throws -> Void

  private struct Entry {
    let name: String
    let dtype: Dtype
    let shape: [Int]
    let bytes: Int
    let content: Content
  }

  private var entries: [Entry] = []
  private var names: Set<String> = [SafetensorsHeader.metadataKey]
  private let metadata: [String: String]

  package init(metadata: [String: String] = [:]) { self.metadata = metadata }

  /// A tensor whose bytes `content` makes when they are written; a number of bytes other than dtype x shape is refused
  /// then. A name that was added already is refused at once.
  package mutating func add(_ name: String, _ dtype: Dtype, shape: [Int], content: @escaping Content) throws {
    guard names.insert(name).inserted else {
      throw Refusal.failed("cannot write tensor \(SafetensorsHeader.quoted(name)): its name is taken; use another")
    }
    guard let bytes = dtype.extent(of: shape)?.bytes else {
      throw Refusal.failed("cannot write tensor \(SafetensorsHeader.quoted(name)): its shape \(shape) is impossible")
    }
    entries.append(Entry(name: name, dtype: dtype, shape: shape, bytes: bytes, content: content))
  }

  package mutating func add(_ name: String, _ dtype: Dtype, shape: [Int], bytes: [UInt8]) throws {
    try add(name, dtype, shape: shape) { write in try bytes.withUnsafeBytes(write) }
  }

  /// `dtype` is F32, or F16 or BF16, to which the values are rounded, ties to even.
  package mutating func add(_ name: String, _ dtype: Dtype = .f32, shape: [Int], floats: [Float]) throws {
    switch dtype {
    case .f32: try add(name, dtype, shape: shape) { write in try floats.withUnsafeBytes(write) }
    case .f16: try add(name, dtype, shape: shape) { try Self.write(floats, $0) { Float16($0).bitPattern } }
    case .bf16: try add(name, dtype, shape: shape) { try Self.write(floats, $0) { $0.brainBits } }
    default:
      throw Refusal.failed(
        "cannot write tensor \(SafetensorsHeader.quoted(name)): floats cannot become \(dtype.rawValue); use F32")
    }
  }

  package mutating func add(_ name: String, shape: [Int], doubles: [Double]) throws {
    try add(name, .f64, shape: shape) { write in try doubles.withUnsafeBytes(write) }
  }

  package mutating func add(_ name: String, shape: [Int], int32s: [Int32]) throws {
    try add(name, .i32, shape: shape) { write in try int32s.withUnsafeBytes(write) }
  }

  /// Whole or not at all (see ``AtomicFile``).
  @discardableResult
  package func write(to url: URL) throws -> FileDigest {
    let ordered = entries.sorted {
      $0.dtype != $1.dtype ? $0.dtype > $1.dtype : $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
    }
    let header = try self.header(ordered)
    return try AtomicFile.write(to: url) { sink in
      try sink.write(withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) } + header)
      for entry in ordered {
        var written = 0
        try entry.content { bytes in
          written += bytes.count
          try sink.write(bytes)
        }
        guard written == entry.bytes else {
          throw Refusal.failed(
            "cannot write tensor \(SafetensorsHeader.quoted(entry.name)) to \(url.path): it has \(written) bytes where "
              + "\(entry.dtype.rawValue) of shape \(entry.shape) makes \(entry.bytes)")
        }
      }
    }
  }

  private func header(_ ordered: [Entry]) throws -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        .map { "\(Self.json($0.key)):\(Self.json($0.value))" }
      members.append("\"\(SafetensorsHeader.metadataKey)\":{\(pairs.joined(separator: ","))}")
    }
    var begin = 0
    for entry in ordered {
      let (end, overflow) = begin.addingReportingOverflow(entry.bytes)
      if overflow { throw Refusal.failed("cannot write a safetensors file: its tensors are too large together") }
      let shape = entry.shape.map(String.init).joined(separator: ",")
      members.append(
        "\(Self.json(entry.name)):{\"dtype\":\"\(entry.dtype.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(begin),\(end)]}")
      begin = end
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    header += [UInt8](repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
    guard header.count <= SafetensorsHeader.longestHeader else {
      throw Refusal.failed("cannot write a safetensors file: its header would be larger than the format allows")
    }
    return header
  }

  private static func json(_ text: String) -> String {
    var json = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": json += "\\\""
      case "\\": json += "\\\\"
      case "\u{8}": json += "\\b"
      case "\u{C}": json += "\\f"
      case "\n": json += "\\n"
      case "\r": json += "\\r"
      case "\t": json += "\\t"
      case "\u{0}"..."\u{1F}":
        let digits = String(scalar.value, radix: 16)
        json += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: json.unicodeScalars.append(scalar)
      }
    }
    return json + "\""
  }

  private static func write(
    _ floats: [Float], _ write: (UnsafeRawBufferPointer) throws -> Void, _ bits: (Float) -> UInt16
  ) throws {
    let block = 1 << 16
    for start in stride(from: 0, to: floats.count, by: block) {
      let part = floats[start..<min(start + block, floats.count)].map(bits)
      try part.withUnsafeBytes(write)
    }
  }
}
