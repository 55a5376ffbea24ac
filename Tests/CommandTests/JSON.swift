import Foundation

/// A JSON value that a test looks into; what is not there fails by its path.
struct JSON {
  let value: Any
  private let path: String

  struct Absent: Error { let path: String }

  init(_ text: String) throws {
    value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
    path = "the whole"
  }

  private init(_ value: Any, _ path: String) { (self.value, self.path) = (value, path) }

  /// Every line an object of its own.
  static func lines(_ text: String) throws -> [JSON] { try text.split(separator: "\n").map { try JSON(String($0)) } }

  subscript(_ key: String) -> JSON {
    get throws {
      guard let object = value as? [String: Any], let field = object[key] else { throw Absent(path: "\(path).\(key)") }
      return JSON(field, "\(path).\(key)")
    }
  }

  private func cast<Result>(_ type: Result.Type) throws -> Result {
    guard let result = value as? Result else { throw Absent(path: "\(path) as \(type)") }
    return result
  }

  var keys: Set<String> { get throws { Set(try cast([String: Any].self).keys) } }
  var items: [JSON] { get throws { try cast([Any].self).enumerated().map { JSON($1, "\(path)[\($0)]") } } }
  var strings: [String] { get throws { try cast([String].self) } }
  var string: String { get throws { try cast(String.self) } }
  var number: Double { get throws { try cast(NSNumber.self).doubleValue } }
  var int: Int { get throws { try cast(NSNumber.self).intValue } }
  var bool: Bool { get throws { try cast(Bool.self) } }
}
