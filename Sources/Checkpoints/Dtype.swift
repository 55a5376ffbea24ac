/// The element types of safetensors that are read and written here, by the names of the format.
///
/// The order is the format's own, of growing size: tensors sorted by it, the largest first, all lie aligned.
package enum Dtype: String, Sendable, CaseIterable, Comparable {
  case bool = "BOOL"
  case u8 = "U8"
  case i8 = "I8"
  case i16 = "I16"
  case u16 = "U16"
  case f16 = "F16"
  case bf16 = "BF16"
  case i32 = "I32"
  case u32 = "U32"
  case f32 = "F32"
  case f64 = "F64"
  case i64 = "I64"
  case u64 = "U64"

  /// Bytes of one element.
  package var size: Int {
    switch self {
    case .bool, .u8, .i8: 1
    case .i16, .u16, .f16, .bf16: 2
    case .i32, .u32, .f32: 4
    case .f64, .i64, .u64: 8
    }
  }

  package static func < (first: Dtype, second: Dtype) -> Bool {
    allCases.firstIndex(of: first)! < allCases.firstIndex(of: second)!
  }

  /// Elements and bytes of a tensor of this shape; nil where they do not fit an Int or a length is negative.
  package func extent(of shape: [Int]) -> (count: Int, bytes: Int)? {
    var count = 1
    for length in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: length)
      if length < 0 || overflow { return nil }
      count = product
    }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
    return overflow ? nil : (count, bytes)
  }
}
