import Foundation

/// Moments as records write them: ISO 8601, UTC, whole seconds ("2026-03-01T12:00:00Z").
package enum TimeStamp {
  package static func now() -> String { utc(secondsSince1970: Date().timeIntervalSince1970) }

  /// Fractions of a second are dropped towards the past.
  package static func utc(secondsSince1970 seconds: Double) -> String {
    Date(timeIntervalSince1970: seconds.rounded(.down)).ISO8601Format()
  }
}
