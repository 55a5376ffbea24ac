import Glibc

/// The machine as it describes itself, and what is left of it to this process. Files that are missing leave
/// "unknown", or what the C library says.
package struct Machine: Sendable, Equatable, CustomStringConvertible {
  /// "AMD EPYC 7763 64-Core Processor"; on ARM the core's name where it is known, else its numbers.
  package let processor: String
  /// Cores that the scheduler may give this process.
  package let schedulableCores: Int
  /// Cores' worth of time that the control group allows, where that is less.
  package let coreQuota: Double?
  /// Bytes of RAM; 0 when unknown.
  package let physicalMemoryBytes: Int
  /// Bytes that the control group allows, where that is less.
  package let memoryLimitBytes: Int?
  /// Distribution and kernel: "Debian GNU/Linux 12 (bookworm), Linux 6.1.0".
  package let operatingSystem: String

  /// Cores that can be kept busy without being throttled, at least 1: whole ones, since a quota of 1.5 stops two busy
  /// threads for a quarter of the time.
  package var cores: Int {
    guard let coreQuota else { return schedulableCores }
    return max(1, min(schedulableCores, Int(coreQuota)))
  }

  /// Bytes that this process can use.
  package var memoryBytes: Int { memoryLimitBytes ?? physicalMemoryBytes }

  /// "2 cores", "8 cores (quota 1.5)".
  package var coresDescription: String {
    let count = "\(schedulableCores) core\(schedulableCores == 1 ? "" : "s")"
    return coreQuota.map { "\(count) (quota \(Machine.tenths($0)))" } ?? count
  }

  /// "15.5 GiB", "62.8 GiB (limit 8.0 GiB)".
  package var memoryDescription: String {
    let all = physicalMemoryBytes > 0 ? Machine.gibibytes(physicalMemoryBytes) : "unknown memory"
    return memoryLimitBytes.map { "\(all) (limit \(Machine.gibibytes($0)))" } ?? all
  }

  /// One line for records: processor, cores, memory, operating system.
  package var description: String { "\(processor), \(coresDescription), \(memoryDescription), \(operatingSystem)" }

  /// Reads the machine; `root` stands before every path, for tests.
  package static func read(root: String = "") -> Machine {
    let processors = SystemFile.text(root + "/proc/cpuinfo") ?? ""
    let memory = SystemFile.text(root + "/proc/meminfo").flatMap { SystemFile.bytes(of: "MemTotal", in: $0) } ?? 0
    let group = ControlGroup.read(root: root)
    let cores = schedulable(root: root)
    // Where the memory's size is unknown, the largest multiple of a page still means a version 1 group without limit.
    let most = memory == 0 ? Int.max / 2 : memory
    return Machine(
      processor: ProcessorName.parse(processors), schedulableCores: cores,
      coreQuota: group.cores.flatMap { $0 < Double(cores) ? $0 : nil }, physicalMemoryBytes: memory,
      memoryLimitBytes: group.memoryBytes.flatMap { $0 < most ? $0 : nil }, operatingSystem: systemName(root: root))
  }

  /// Cores in both the process's affinity and the kernel's list of those that are on.
  private static func schedulable(root: String) -> Int {
    let configured = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    guard let status = SystemFile.text(root + "/proc/self/status"),
      let allowed = SystemFile.value(of: "Cpus_allowed_list", in: status).flatMap({ coreNumbers($0) })
    else { return configured }
    let online = SystemFile.word(root + "/sys/devices/system/cpu/online").flatMap { coreNumbers($0) }
    let both = online.map { allowed.intersection($0) } ?? allowed
    return both.isEmpty ? configured : both.count
  }

  /// The numbers of a kernel's list ("0-3,8"); nil when it is not one, or names a number above 65535.
  static func coreNumbers(_ list: String) -> Set<Int>? {
    var numbers: Set<Int> = []
    for part in list.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1] else { return nil }
      guard 0 <= first, first <= last, last < 1 << 16 else { return nil }
      numbers.formUnion(first...last)
    }
    return numbers
  }

  private static func systemName(root: String) -> String {
    let release = SystemFile.text(root + "/etc/os-release") ?? SystemFile.text(root + "/usr/lib/os-release") ?? ""
    let line = release.split(whereSeparator: \.isNewline).first { $0.hasPrefix("PRETTY_NAME=") }
    let name = SystemFile.printable((line ?? "").dropFirst("PRETTY_NAME=".count).filter { !"\"'\\".contains($0) })
    let kernel = SystemFile.word(root + "/proc/sys/kernel/osrelease").map { "Linux " + SystemFile.printable($0) }
    return [name.isEmpty ? nil : name, kernel ?? "Linux"].compactMap(\.self).joined(separator: ", ")
  }

  /// One decimal, never rounded up to a whole that is not there: 1.99 is "1.9".
  private static func tenths(_ value: Double) -> String { "\((value * 10).rounded(.down) / 10)" }

  private static func gibibytes(_ bytes: Int) -> String { tenths(Double(bytes) / 0x1p30) + " GiB" }
}
