import Arrays

/// The header of a safetensors file, checked: whatever a file says, its tensors tile its data exactly.
///
///     u64 n (little-endian) | n bytes of JSON, padded with spaces | data
///     {"__metadata__": {string: string}, name: {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, ...}
///
/// Refused, as by the reference implementation: a header of more than 100 MB or than the file, anything but this JSON, a
/// dtype that is not in ``Dtype``, a size that is not dtype x shape, tensors that overlap, leave a hole or leave the end
/// of the data uncovered. Refused besides: a name given twice, a field that the format does not know, more than 64 axes.
package struct SafetensorsHeader: Sendable, Equatable {
  package struct Tensor: Sendable, Equatable {
    package let dtype: Dtype
    package let shape: [Int]
    /// Elements.
    package let count: Int
    /// Where its bytes are in the file, not necessarily aligned.
    package let range: Range<Int>
  }

  static let metadataKey = "__metadata__"
  static let longestHeader = 100_000_000

  package let metadata: [String: String]
  package let tensors: [String: Tensor]

  /// The length that the first eight bytes announce, checked against the file's.
  static func length(_ firstBytes: [UInt8], fileSize: Int, path: String) throws -> Int {
    let length = firstBytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard firstBytes.count >= 8, length <= UInt64(longestHeader), Int(length) <= fileSize - 8 else {
      throw Refusal.badInput(
        "\(path) is not a safetensors file or is cut short: it has \(fileSize) bytes, and its header should have "
          + "\(length), which may be at most \(longestHeader); get a complete copy of it")
    }
    return Int(length)
  }

  init(_ header: [UInt8], fileSize: Int, path: String) throws {
    do {
      try self.init(header, fileSize: fileSize)
    } catch let mismatch as HeaderScanner.Mismatch {
      throw Refusal.badInput("\(path) is not a valid safetensors file: \(mismatch.reason); get a good copy of it")
    }
  }

  private init(_ header: [UInt8], fileSize: Int) throws {
    guard header.first == UInt8(ascii: "{") else {
      throw HeaderScanner.Mismatch(reason: "its header does not begin with '{'")
    }
    let dataStart = 8 + header.count
    var metadata: [String: String]?
    var tensors: [String: Tensor] = [:]
    var scanner = HeaderScanner(header)
    try scanner.object { scanner, key in
      let isNew =
        if key == Self.metadataKey {
          try metadata.replaceNil(with: Self.strings(&scanner))
        } else {
          tensors.updateValue(try Self.tensor(&scanner, named: key, dataStart, fileSize), forKey: key) == nil
        }
      if !isNew { throw HeaderScanner.Mismatch(reason: "it names \(Self.quoted(key)) twice") }
    }
    try scanner.end()
    self.metadata = metadata ?? [:]
    self.tensors = tensors
    try Self.checkTiling(tensors, from: dataStart, to: fileSize)
  }

  private static func strings(_ scanner: inout HeaderScanner) throws -> [String: String] {
    var strings: [String: String] = [:]
    try scanner.object { scanner, key in
      if strings.updateValue(try scanner.string(), forKey: key) != nil {
        throw HeaderScanner.Mismatch(reason: "its metadata name \(quoted(key)) twice")
      }
    }
    return strings
  }

  private static func tensor(
    _ scanner: inout HeaderScanner, named name: String, _ dataStart: Int, _ fileSize: Int
  ) throws -> Tensor {
    func refuse(_ reason: String) -> HeaderScanner.Mismatch {
      HeaderScanner.Mismatch(reason: "tensor \(quoted(name)) \(reason)")
    }
    var dtypeName: String?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.object { scanner, key in
      let isNew =
        switch key {
        case "dtype": try dtypeName.replaceNil(with: scanner.string())
        case "shape": try shape.replaceNil(with: scanner.integers(limit: 64))
        case "data_offsets": try offsets.replaceNil(with: scanner.integers(limit: 2))
        default: throw refuse("has the unknown field \(quoted(key))")
        }
      if !isNew { throw refuse("has \(key) twice") }
    }
    guard let dtypeName, let shape, let offsets, offsets.count == 2 else {
      throw refuse("lacks its dtype, its shape or its two data_offsets")
    }
    guard let dtype = Dtype(rawValue: dtypeName) else { throw refuse("has the unknown dtype \(quoted(dtypeName))") }
    guard let extent = dtype.extent(of: shape) else { throw refuse("has a shape whose product is too large") }
    guard offsets[0] <= offsets[1], offsets[1] <= fileSize - dataStart else {
      throw refuse("has data_offsets \(offsets) outside the \(fileSize - dataStart) bytes of data")
    }
    guard offsets[1] - offsets[0] == extent.bytes else {
      throw refuse("has \(offsets[1] - offsets[0]) bytes where its dtype and shape make \(extent.bytes)")
    }
    return Tensor(
      dtype: dtype, shape: shape, count: extent.count, range: dataStart + offsets[0]..<dataStart + offsets[1])
  }

  private static func checkTiling(_ tensors: [String: Tensor], from start: Int, to end: Int) throws {
    var covered = start
    let inOrder = tensors.sorted {
      ($0.value.range.lowerBound, $0.value.range.upperBound) < ($1.value.range.lowerBound, $1.value.range.upperBound)
    }
    for (name, tensor) in inOrder {
      guard tensor.range.lowerBound == covered else {
        let fault = tensor.range.lowerBound < covered ? "overlaps" : "leaves a hole after"
        throw HeaderScanner.Mismatch(reason: "tensor \(quoted(name)) \(fault) the tensor before it")
      }
      covered = tensor.range.upperBound
    }
    guard covered == end else {
      throw HeaderScanner.Mismatch(reason: "its last \(end - covered) bytes belong to no tensor")
    }
  }

  /// A name from a file, made fit for a sentence: cut at 80 characters, on one line.
  static func quoted(_ name: String) -> String {
    let visible = name.unicodeScalars.prefix(80).map { $0.properties.generalCategory == .control ? "?" : String($0) }
    return "'" + visible.joined() + (name.unicodeScalars.count > 80 ? "..." : "") + "'"
  }
}

extension Optional {
  /// False where there was a value, which is kept.
  fileprivate mutating func replaceNil(with value: Wrapped) -> Bool {
    if self != nil { return false }
    self = value
    return true
  }
}
