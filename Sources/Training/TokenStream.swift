/// A text as the tokens 0 ... 255 of its bytes, stored at one byte per token and handed out as Int32.
package struct TokenStream: Sendable, Equatable {
  package let bytes: [UInt8]

  package var count: Int { bytes.count }

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// What a step trains on, row-major [starts.count, sequence]: `inputs[b, t] = stream[starts[b] + t]`, and `targets`
  /// the same one token later. Every start must leave `sequence` + 1 tokens.
  package func windows(at starts: [Int], sequence: Int) -> (inputs: [Int32], targets: [Int32]) {
    (rows(at: starts, length: sequence), rows(at: starts.map { $0 + 1 }, length: sequence))
  }

  private func rows(at starts: [Int], length: Int) -> [Int32] {
    for start in starts { precondition(start >= 0 && length <= count - start, "a window beyond the stream") }
    return bytes.withUnsafeBufferPointer { bytes in
      [Int32](unsafeUninitializedCapacity: starts.count * length) { tokens, filled in
        for (row, start) in starts.enumerated() {
          for column in 0..<length { tokens[row * length + column] = Int32(bytes[start + column]) }
        }
        filled = starts.count * length
      }
    }
  }
}
