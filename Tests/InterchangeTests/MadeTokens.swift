import Training

/// A stream of these tokens, none above 65535.
func tokenStream(of tokens: [Int32]) throws -> TokenStream {
  let bytes = tokens.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
  return try TokenStream(ByteStore(bytes), 0..<bytes.count, width: 2)
}
