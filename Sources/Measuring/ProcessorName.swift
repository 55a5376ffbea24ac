/// The processor's name out of `/proc/cpuinfo`.
enum ProcessorName {
  /// The first of "model name" (x86, some ARM), implementer and part (ARM), "cpu" (POWER), "uarch" (RISC-V) that the
  /// text has; "unknown" when it has none.
  static func parse(_ text: String) -> String {
    if let name = SystemFile.value(of: "model name", in: text) { return name }
    if let implementer = SystemFile.value(of: "CPU implementer", in: text),
      let part = SystemFile.value(of: "CPU part", in: text)
    {
      return cores["\(implementer) \(part)"] ?? "ARM implementer \(implementer) part \(part)"
    }
    return SystemFile.value(of: "cpu", in: text) ?? SystemFile.value(of: "uarch", in: text) ?? "unknown"
  }

  /// Implementer and part numbers, as ARM's Main ID Register gives them.
  private static let cores = [
    "0x41 0xd03": "ARM Cortex-A53", "0x41 0xd08": "ARM Cortex-A72", "0x41 0xd0b": "ARM Cortex-A76",
    "0x41 0xd0c": "ARM Neoverse N1", "0x41 0xd40": "ARM Neoverse V1", "0x41 0xd49": "ARM Neoverse N2",
    "0x41 0xd4f": "ARM Neoverse V2", "0xc0 0xac3": "Ampere-1",
  ]
}
