import Foundation

/// Joules that the processor packages have used since a mark, from the kernel's power capping interface (RAPL; Intel's
/// and AMD's share it).
///
/// - All packages are summed; a machine with one that cannot be read has no counter, rather than a part of the sum.
/// - The counters wrap after some ten minutes at full power: read at least that often. Every read adds what has
///   passed since the read before, so a run that reads once a step loses nothing.
/// - They count the whole package: other processes' energy too, memory's not.
package struct EnergyCounter: Sendable {
  private struct Package: Sendable {
    let path: String
    /// Microjoules at which the counter begins again; nil when the kernel does not say.
    let range: UInt64?
    var last: UInt64
  }

  private var packages: [Package]
  /// Microjoules since the mark; nil after a failed read, until the next mark.
  private var total: UInt64?

  /// Nil where there is no counter or it may not be read (recent kernels leave it to root). Marked at this moment.
  package static func open(root: String = "/sys/class/powercap") -> EnergyCounter? {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
    var packages: [Package] = []
    for name in names.sorted() where isDomain(name) {
      let folder = "\(root)/\(name)"
      // The domain "psys" stands beside the packages and contains them.
      guard SystemFile.word(folder + "/name")?.hasPrefix("package") == true else { continue }
      guard let now = number(folder + "/energy_uj") else { return nil }
      packages.append(Package(path: folder + "/energy_uj", range: number(folder + "/max_energy_range_uj"), last: now))
    }
    return packages.isEmpty ? nil : EnergyCounter(packages: packages, total: 0)
  }

  /// Begins anew at 0.
  package mutating func mark() {
    total = 0
    for index in packages.indices {
      guard let now = EnergyCounter.number(packages[index].path) else {
        total = nil
        return
      }
      packages[index].last = now
    }
  }

  /// Joules since the mark; nil when a counter could not be read, now or at any time since then, or went backwards
  /// without a known range.
  package mutating func joules() -> Double? {
    guard var sum = total else { return nil }
    total = nil
    for index in packages.indices {
      let before = packages[index].last
      guard let now = EnergyCounter.number(packages[index].path) else { return nil }
      packages[index].last = now
      if now >= before {
        sum &+= now - before
      } else {
        guard let range = packages[index].range, range >= before else { return nil }
        sum &+= range - before &+ now
      }
    }
    total = sum
    return Double(sum) * 1e-6
  }

  /// `intel-rapl:0`, not its parts `intel-rapl:0:1`, nor the same package by another way, `intel-rapl-mmio:0`.
  private static func isDomain(_ name: String) -> Bool {
    let parts = name.split(separator: ":", omittingEmptySubsequences: false)
    return parts.count == 2 && parts[0] == "intel-rapl" && Int(parts[1]) != nil
  }

  private static func number(_ path: String) -> UInt64? { SystemFile.word(path).flatMap { UInt64($0) } }
}
