/// The printable character that stands for each byte in the files of byte-level tokenizers.
///
/// Bytes that are printable in Latin-1, but for the soft hyphen, stand for themselves; the 68 others, in order, are
/// U+0100 + k (Radford et al. 2019, the tokenizer of GPT-2): so that blanks and control codes survive in text files.
enum ByteAlphabet {
  static let scalars: [Unicode.Scalar] = {
    var others: UInt32 = 0
    return (UInt32(0)..<256).map { byte in
      let isPrintable = (0x21...0x7e).contains(byte) || (0xa1...0xac).contains(byte) || (0xae...0xff).contains(byte)
      if isPrintable { return Unicode.Scalar(byte)! }
      others += 1
      return Unicode.Scalar(0xff + others)!
    }
  }()

  private static let bytes: [UInt32: UInt8] = Dictionary(
    uniqueKeysWithValues: scalars.enumerated().map { ($1.value, UInt8($0)) })

  /// All bytes in the order of the characters that stand for them.
  static let order: [UInt8] = (0..<256).map { UInt8($0) }.sorted { scalars[Int($0)].value < scalars[Int($1)].value }

  /// The bytes that a token's spelling stands for; nil where a character stands for none.
  static func bytes(of spelling: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(spelling.count)
    for scalar in String(decoding: spelling, as: UTF8.self).unicodeScalars {
      guard let byte = bytes[scalar.value] else { return nil }
      result.append(byte)
    }
    return result
  }

  static func spelling(of bytes: [UInt8]) -> String {
    var text = String.UnicodeScalarView()
    for byte in bytes { text.append(scalars[Int(byte)]) }
    return String(text)
  }
}
