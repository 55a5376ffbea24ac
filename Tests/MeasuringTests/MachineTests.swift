import Foundation
import Testing

@testable import Measuring

@Suite("Machine")
struct MachineTests {
  private static let plain = [
    "proc/cpuinfo": "processor\t: 0\nmodel\t\t: 1\nmodel name\t: Fast  CPU @ 3 GHz\n\nprocessor\t: 1\n",
    "proc/meminfo": "MemTotal:       16777216 kB\nMemFree:   1 kB\n",
    "proc/self/status": "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\nVmHWM:\t  2048 kB\nVmRSS:\t1024 kB\n",
    "sys/devices/system/cpu/online": "0-3,6\n",
    "etc/os-release": "ID=some\nPRETTY_NAME=\"Some Linux 12 (name)\"\n",
    "proc/sys/kernel/osrelease": "6.1.0-test\n",
  ]

  private static let version2 = [
    "proc/self/cgroup": "0::/job/step\n",
    "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
  ]

  private static let version1 = [
    "proc/self/cgroup": "4:memory:/box/abc\n3:cpu,cpuacct:/box/abc\n1:name=systemd:/x\n0::/\n",
    "proc/self/mountinfo": """
    31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
    32 31 0:29 /box/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
    35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory

    """,
  ]

  private static func read(_ layers: [String: String]...) throws -> Machine {
    let tree = try TemporaryTree(layers.reduce(into: [:]) { $0.merge($1) { $1 } })
    return Machine.read(root: tree.root)
  }

  @Test("without control groups the machine is what the kernel lists")
  func plainMachine() throws {
    let machine = try MachineTests.read(MachineTests.plain)
    #expect(machine.processor == "Fast CPU @ 3 GHz")
    #expect(machine.schedulableCores == 5)
    #expect(machine.cores == 5)
    #expect(machine.coreQuota == nil)
    #expect(machine.memoryBytes == 16 << 30)
    #expect(machine.memoryLimitBytes == nil)
    #expect(machine.operatingSystem == "Some Linux 12 (name), Linux 6.1.0-test")
    #expect(
      machine.description == "Fast CPU @ 3 GHz, 5 cores, 16.0 GiB, Some Linux 12 (name), Linux 6.1.0-test")
  }

  @Test("the least limit from the own group up to the mount counts, version 2")
  func unifiedLimits() throws {
    let machine = try MachineTests.read(
      MachineTests.plain, MachineTests.version2,
      [
        "sys/fs/cgroup/job/cpu.max": "150000 100000\n", "sys/fs/cgroup/job/step/cpu.max": "max 100000\n",
        "sys/fs/cgroup/job/memory.max": "max\n", "sys/fs/cgroup/job/step/memory.max": "8589934592\n",
      ])
    #expect(machine.coreQuota == 1.5)
    #expect(machine.cores == 1)
    #expect(machine.schedulableCores == 5)
    #expect(machine.memoryBytes == 8 << 30)
    #expect(machine.physicalMemoryBytes == 16 << 30)
    #expect(machine.coresDescription == "5 cores (quota 1.5)")
    #expect(machine.memoryDescription == "16.0 GiB (limit 8.0 GiB)")
  }

  @Test("limits are found where a container mounts its own group at the top, version 1")
  func separateLimits() throws {
    let machine = try MachineTests.read(
      MachineTests.plain, MachineTests.version1,
      [
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/box/abc/memory.limit_in_bytes": "4294967296\n",
      ])
    #expect(machine.coreQuota == 2.5)
    #expect(machine.cores == 2)
    #expect(machine.memoryBytes == 4 << 30)
  }

  @Test("a limit that is no lower than the machine is none")
  func looseLimits() throws {
    let machine = try MachineTests.read(
      MachineTests.plain, MachineTests.version2,
      ["sys/fs/cgroup/job/step/cpu.max": "800000 100000\n", "sys/fs/cgroup/memory.max": "9223372036854771712\n"])
    #expect(machine.coreQuota == nil)
    #expect(machine.memoryLimitBytes == nil)
  }

  @Test("a group path that leads out of the mount gives the mount point alone")
  func outsidePath() {
    let mounts = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    #expect(ControlGroup.folders(of: "cpu", groups: "0::/../../etc", mounts: mounts) == ["/sys/fs/cgroup"])
    #expect(
      ControlGroup.folders(of: "cpu", groups: "0::/a/b", mounts: mounts)
        == ["/sys/fs/cgroup", "/sys/fs/cgroup/a", "/sys/fs/cgroup/a/b"])
    let inner = "30 23 0:26 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    #expect(
      ControlGroup.folders(of: "cpu", groups: "0::/a/b", mounts: inner) == ["/sys/fs/cgroup", "/sys/fs/cgroup/b"])
    #expect(ControlGroup.folders(of: "cpu", groups: "0::/c/b", mounts: inner) == ["/sys/fs/cgroup"])
  }

  @Test(
    "malformed limits limit nothing",
    arguments: ["", "-1 100000", "5 5 5", "5 0", "x y", "99999999999999999999 1", "1 2 3"])
  func malformedLimits(text: String) throws {
    let machine = try MachineTests.read(
      MachineTests.plain, MachineTests.version2,
      ["sys/fs/cgroup/job/cpu.max": text, "sys/fs/cgroup/job/memory.max": text])
    #expect(machine.coreQuota == nil)
    #expect(machine.memoryLimitBytes == nil)
  }

  @Test("a machine without any of the files still has a description and a core")
  func emptyMachine() throws {
    let machine = try MachineTests.read([:])
    #expect(machine.processor == "unknown")
    #expect(machine.cores >= 1)
    #expect(machine.memoryBytes == 0)
    #expect(machine.operatingSystem == "Linux")
    #expect(machine.description.contains("unknown memory"))
  }

  @Test("this machine has at least one core, some memory, and no more cores than the processors it lists")
  func thisMachine() {
    let machine = Machine.read()
    #expect(machine.cores >= 1)
    #expect(machine.cores <= max(1, ProcessInfo.processInfo.processorCount))
    #expect(machine.memoryBytes > 1 << 24)
    #expect(UInt64(machine.physicalMemoryBytes) == ProcessInfo.processInfo.physicalMemory)
  }

  @Test("lists of cores are read as the kernel writes them, and nothing else is")
  func coreNumbers() {
    #expect(Machine.coreNumbers("0") == [0])
    #expect(Machine.coreNumbers("0-2,5,7-8") == [0, 1, 2, 5, 7, 8])
    for text in ["", ",", "3-1", "-1", "0-", "1-2-3", "0-99999999999", "0-99999999999999999999", "a", "0 - 1"] {
      #expect(Machine.coreNumbers(text) == nil, "\(text)")
    }
  }

  @Test("processors of every architecture have a name")
  func processorNames() {
    #expect(ProcessorName.parse("CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n") == "ARM Neoverse N1")
    #expect(ProcessorName.parse("CPU implementer\t: 0x99\nCPU part\t: 0x1\n") == "ARM implementer 0x99 part 0x1")
    #expect(ProcessorName.parse("cpu\t\t: POWER9, altivec supported\n") == "POWER9, altivec supported")
    #expect(ProcessorName.parse("uarch\t: sifive,u74-mc\n") == "sifive,u74-mc")
    #expect(ProcessorName.parse("model name\t:\n") == "unknown")
    #expect(ProcessorName.parse("model name\t: a\u{1b}[31mb\u{0}c\n") == "a [31mb c")
    #expect(ProcessorName.parse("model name\t: " + String(repeating: "x", count: 9999)).count == 200)
  }

  @Test("sizes that do not fit, or are not in kB, are not sizes")
  func sizes() {
    #expect(SystemFile.bytes(of: "A", in: "A: 3 kB") == 3072)
    for text in ["A: 3", "A: 3 MB", "A: -3 kB", "A: 9223372036854775807 kB", "AB: 3 kB", "A 3 kB", ""] {
      #expect(SystemFile.bytes(of: "A", in: text) == nil, "\(text)")
    }
  }

  @Test("a file is read up to the limit, a folder not at all")
  func boundedText() throws {
    let tree = try TemporaryTree(["a/b": String(repeating: "x", count: 70_000)])
    #expect(SystemFile.text(tree.root + "/a/b")?.utf8.count == 70_000)
    #expect(SystemFile.text(tree.root + "/a/b", limit: 50_000)?.utf8.count == 50_000)
    #expect(SystemFile.text(tree.root + "/a") == nil)
    #expect(SystemFile.text(tree.root + "/c") == nil)
    #expect(SystemFile.text("/dev/zero", limit: 100)?.utf8.count == 100)
  }

  @Test("memory in use is the kernel's figure, and its peak is no lower")
  func memory() throws {
    let tree = try TemporaryTree(MachineTests.plain)
    #expect(ProcessMemory.current(root: tree.root) == 1 << 20)
    #expect(ProcessMemory.peak(root: tree.root) == 2 << 20)
    #expect(ProcessMemory.current(root: tree.root + "/none") == nil)
    #expect(try #require(ProcessMemory.peak()) >= 1 << 20)
  }

  @Test("resetting the peak writes the kernel's word, and says when it cannot")
  func resetPeak() throws {
    let tree = try TemporaryTree(["proc/self/clear_refs": ""])
    #expect(ProcessMemory.resetPeak(root: tree.root))
    #expect(SystemFile.word(tree.root + "/proc/self/clear_refs") == "5")
    #expect(!ProcessMemory.resetPeak(root: tree.root + "/none"))
  }
}
