/// What the control groups of this process (a container, a batch job) leave of the machine; versions 1 and 2.
///
/// A limit holds for all groups below it, so the least from the process's own group up to the mount counts. Unreadable
/// or malformed files limit nothing.
struct ControlGroup: Equatable {
  /// Cores' worth of time per second; nil without a limit.
  var cores: Double?
  /// Bytes; nil without a limit.
  var memoryBytes: Int?

  static func read(root: String = "") -> ControlGroup {
    let groups = SystemFile.text(root + "/proc/self/cgroup") ?? ""
    let mounts = SystemFile.text(root + "/proc/self/mountinfo") ?? ""
    let processor = folders(of: "cpu", groups: groups, mounts: mounts).map { root + $0 }
    let memory = folders(of: "memory", groups: groups, mounts: mounts).map { root + $0 }
    return ControlGroup(
      cores: processor.compactMap(coreLimit).min(), memoryBytes: memory.compactMap(memoryLimit).min())
  }

  /// The folders that may limit `controller`, from the mount points down to this process's groups.
  static func folders(of controller: String, groups: String, mounts: String) -> [String] {
    var found: [String] = []
    for mount in mounts.split(whereSeparator: \.isNewline).compactMap({ Mount($0) }) {
      for group in groups.split(whereSeparator: \.isNewline) {
        // hierarchy:controllers:path, the controllers empty in version 2
        let fields = group.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3 else { continue }
        let matches =
          mount.unified
          ? fields[1].isEmpty
          : fields[1].split(separator: ",").contains(Substring(controller)) && mount.controllers.contains(controller)
        if matches { found += mount.folders(downTo: String(fields[2])) }
      }
    }
    return found
  }

  private static func coreLimit(_ folder: String) -> Double? {
    if let words = SystemFile.text(folder + "/cpu.max", limit: 4096)?.split(whereSeparator: \.isWhitespace) {
      return words.count == 2 ? ratio(String(words[0]), String(words[1])) : nil
    }
    guard let quota = SystemFile.word(folder + "/cpu.cfs_quota_us"),
      let period = SystemFile.word(folder + "/cpu.cfs_period_us")
    else { return nil }
    return ratio(quota, period)
  }

  private static func ratio(_ quota: String, _ period: String) -> Double? {
    guard let quota = Int(quota), let period = Int(period), quota > 0, period > 0 else { return nil }
    return Double(quota) / Double(period)
  }

  private static func memoryLimit(_ folder: String) -> Int? {
    let word = SystemFile.word(folder + "/memory.max") ?? SystemFile.word(folder + "/memory.limit_in_bytes")
    return word.flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
  }
}

/// One control group hierarchy in the file system: a line of `mountinfo`.
private struct Mount {
  /// The group that the mount point shows.
  let group: String
  let point: String
  /// Version 2.
  let unified: Bool
  /// Version 1: the controllers of this hierarchy.
  let controllers: [String]

  /// Nil for any other kind of file system.
  init?(_ line: Substring) {
    let words = line.split(separator: " ")
    guard words.count > 6, let dash = words.firstIndex(of: "-"), dash > 5, dash + 3 < words.count else { return nil }
    guard words[dash + 1] == "cgroup" || words[dash + 1] == "cgroup2" else { return nil }
    group = String(words[3])
    point = String(words[4])
    unified = words[dash + 1] == "cgroup2"
    controllers = words[dash + 3].split(separator: ",").map { String($0) }
  }

  /// The mount point and every folder from it to the group at `path`. A path outside what is mounted here, which a
  /// container sees when it shares no name space with its host, gives the mount point alone.
  func folders(downTo path: String) -> [String] {
    let top = group.split(separator: "/")
    let parts = path.split(separator: "/")
    guard !parts.contains(".."), parts.starts(with: top) else { return [point] }
    var folders = [point]
    for part in parts.dropFirst(top.count) { folders.append(folders[folders.count - 1] + "/" + part) }
    return folders
  }
}
