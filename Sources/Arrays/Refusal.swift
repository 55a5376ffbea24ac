/// Why something asked for was not done: one sentence that says what, where, and what to do about it.
///
/// Every error that a person can cause leaves the library as a `Refusal`; the command line prints the sentence and
/// exits with ``Kind/exitCode``.
public struct Refusal: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Kind: Sendable {
    /// It was tried and did not work: a full disk, a loss that is not a number.
    case failed
    /// The request or a file is wrong: an unknown structure, a truncated checkpoint.
    case badInput
    /// The thing asked for does not exist on this machine: a device, a library.
    case missing

    public var exitCode: Int32 {
      switch self {
      case .failed: 1
      case .badInput: 2
      case .missing: 3
      }
    }
  }

  public let kind: Kind
  public let sentence: String

  public init(_ kind: Kind, _ sentence: String) {
    self.kind = kind
    self.sentence = sentence
  }

  public static func badInput(_ sentence: String) -> Refusal { Refusal(.badInput, sentence) }
  public static func failed(_ sentence: String) -> Refusal { Refusal(.failed, sentence) }
  public static func missing(_ sentence: String) -> Refusal { Refusal(.missing, sentence) }

  public var description: String { sentence }
}
