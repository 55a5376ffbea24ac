/// What the argument parser leaves out of its messages.
enum UsageAdvice {
  /// The message with the values that the option takes, where the message says that one cannot be used and not which can.
  ///
  /// What is a number and no value is so for an option that takes whole numbers; the parser lists names itself.
  static func completed(_ message: String) -> String {
    guard let match = message.wholeMatch(of: /The value '(.*)' is invalid for '(--[a-z-]+) <[^>]*>'\.?/) else {
      return message
    }
    let (value, option) = (String(match.1), match.2)
    let advice =
      if option == "--seed" {
        "a whole number from 0 to \(UInt64.max)"
      } else if Double(value) != nil {
        "a whole number of at most \(Int.max)"
      } else {
        "a number"
      }
    return "\(message); give \(advice)"
  }
}
