import Arrays
import CCUDA
import FakeCUDA
import Foundation
import Testing

@testable import Devices

/// The kernels as NVRTC compiles them, where NVRTC is installed, and as the host does, everywhere.
@Suite struct KernelInventoryTests {
  /// Kernels named in the sources: `KERNEL(name, ...`.
  private static let named: [(source: String, kernel: String)] = CUDAModules.sources.flatMap { source in
    source.text.split(separator: "\n").compactMap { line in
      guard line.hasPrefix("KERNEL("), let end = line.firstIndex(of: ",") else { return nil }
      return (source.name, String(line[line.index(line.startIndex, offsetBy: 7)..<end]))
    }
  }

  /// Tensor-core kernels are for bf16, those of warpgroups for sm_90a.
  private static func runs(_ source: String, on architecture: String, _ precision: CUDAPrecision) -> Bool {
    if source.contains("warpgroup") { return precision == .bf16 && architecture == "sm_90a" }
    return precision == .bf16 || !source.contains("tensor")
  }

  @Test("Every kernel of every source is among those that the host runs, and no name is used twice")
  func inventory() throws {
    let host = (0..<fake_kernel_count()).map {
      (kernel: String(cString: fake_kernel_name($0)), precision: String(cString: fake_kernel_precision($0)))
    }
    #expect(Set(Self.named.map(\.kernel)).count == Self.named.count && Self.named.count > 40)
    for (source, kernel) in Self.named {
      #expect(host.contains { $0.kernel == kernel && $0.precision == "bf16" }, "\(kernel)")
      let inBoth = Self.runs(source, on: "sm_80", .fp32)
      #expect(host.contains { $0.kernel == kernel && $0.precision == "fp32" } == inBoth, "\(kernel)")
    }
    #expect(Set(host.map(\.kernel)) == Set(Self.named.map(\.kernel)))
  }

  /// The folder that `make setup-cuda` fills, else whatever the machine has.
  private static func compiler() -> fg_compiler? {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    var environment = CUDALibraries.environment
    environment["PYTHONPATH"] = [root.appendingPathComponent(".build-cuda/site").path, environment["PYTHONPATH"]]
      .compactMap(\.self).joined(separator: ":")
    return CUDALibraries.compiler(environment: environment)
  }

  /// Kernels whose time is the model's: none of them may keep a register in memory.
  private static func isHot(_ kernel: String) -> Bool { !["grid_gradient", "multiply_add_peak"].contains(kernel) }

  @Test(
    "Every source compiles for sm_80 and sm_90a, and no kernel spills", arguments: ["sm_80", "sm_90a"],
    [CUDAPrecision.bf16, .fp32])
  func compiles(_ architecture: String, _ precision: CUDAPrecision) throws {
    guard let compiler = Self.compiler() else {
      print(
        "NVRTC is not installed: the CUDA kernels were not compiled for \(architecture); 'make setup-cuda' installs it")
      return
    }
    var checked: [String] = []
    for source in CUDAModules.sources where source.name.hasSuffix(".cu") {
      var log = ""
      let options = CUDAModules.options(architecture: architecture, precision) + ["--ptxas-options=-v"]
      let cubin = try CUDAModules.compile(source.name, options, with: compiler) { log = $0 }
      #expect(cubin.starts(with: [0x7f, 0x45, 0x4c, 0x46]), "\(source.name)")
      // Products that are not left to run on while others begin.
      #expect(!log.contains("wgmma.mma_async instructions are serialized"), "\(source.name): \(log)")
      var kernel = ""
      for line in log.split(separator: "\n") {
        if let range = line.range(of: "Compiling entry function '") {
          kernel = String(line[range.upperBound...].prefix { $0 != "'" })
          checked.append(kernel)
        }
        if line.contains("spill stores"), Self.isHot(kernel) {
          #expect(line.contains(" 0 bytes spill stores, 0 bytes spill loads"), "\(kernel) \(architecture): \(line)")
        }
      }
    }
    let expected = Self.named.filter { Self.runs($0.source, on: architecture, precision) }.map(\.kernel)
    #expect(checked.sorted() == expected.sorted())
    print("compiled for \(architecture) in \(precision): \(checked.count)")
  }
}
