import FoundationEssentials
import Records

/// Which algorithm was measured fastest for each dense product, and which kernels passed their check, kept in the user's cache
/// folder: a later run takes the same ones, and so gives the same bits.
///
/// The file is a line for each product or kernel: its key, a tab, eight whole numbers. It names nothing that could be run: an algorithm
/// that the library does not offer itself for the product is ignored.
final class CUDAChoices {
  private let file: URL?
  private var table: [String: [UInt64]] = [:]
  private static let mostBytes = 4 << 20

  /// The file's; empty where there is none.
  var path: String { file?.path ?? "" }

  /// - Parameter environment: what the choice depends on beside the product: GPU, library, precision.
  init(_ environment: String, folder: URL?) {
    let name = environment.map { $0.isLetter && $0.isASCII || $0.isNumber && $0.isASCII ? $0 : "_" }
    file = folder?.appendingPathComponent("products-\(String(name)).txt")
    guard let file, let data = try? Data(contentsOf: file), data.count <= CUDAChoices.mostBytes else { return }
    for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: "\t")
      guard parts.count == 2 else { continue }
      let numbers = parts[1].split(separator: " ").compactMap { UInt64($0) }
      if numbers.count == 8 { table[String(parts[0])] = numbers }
    }
  }

  subscript(key: String) -> [UInt64]? {
    get { table[key] }
    set {
      table[key] = newValue
      guard let file else { return }
      let text = table.sorted { $0.key < $1.key }
        .map { "\($0.key)\t\($0.value.map { "\($0)" }.joined(separator: " "))\n" }.joined()
      // A cache that cannot be written costs time, and nothing else.
      try? AtomicFile.makeFolder(file.deletingLastPathComponent())
      _ = try? AtomicFile.write(Array(text.utf8), to: file)
    }
  }
}
