import ArgumentParser
import Arrays
import Devices
import Measuring
import Records
import Reporting
import Structures

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "What this machine has: processor, limits, libraries, energy counters, devices, primitives.")

  @OptionGroup var global: GlobalOptions

  private struct Diagnosis: Encodable {
    let machine: MachineRecord
    let cores: String
    let memory: String
    let instructionSets: [String]
    let denseLibraries: [Library]
    let missingLibraries: [String]
    let gnuplot: Bool
    let devices: [DeviceDiagnosis]
  }

  private struct Library: Encodable {
    let name: String, version: String
    let kernels: String?
    let path: String
  }

  private struct DeviceDiagnosis: Encodable {
    let name: String
    let available: Bool
    let remark: String
    let primitives: [String]
    /// Families of the catalog that cannot be computed there, and why; absent where the device is.
    let unsupported: [Unsupported]?
  }

  private struct Unsupported: Encodable {
    let structure: String
    let missing: String
  }

  /// A device that fails when it is asked computes nothing.
  private static func unsupported(on make: () throws -> any Device) -> [Unsupported] {
    do {
      return try Catalog.unsupported(on: try make()).map { Unsupported(structure: $0.family, missing: $0.reason) }
    } catch {
      let sentence = (error as? Refusal)?.sentence ?? "\(error)"
      return Catalog.all.map { Unsupported(structure: $0.card.family, missing: sentence) }
    }
  }

  /// The groups of `Device`'s requirements, as people would name them.
  private static let primitives = [
    "grid product (dense, block-sparse, block-diagonal, factors)", "compressed-row product (csr)",
    "expansion of values (masked, circulant)",
    "embedding", "RMSNorm", "RoPE", "attention", "SwiGLU", "cross-entropy", "AdamW",
  ]

  func run() throws {
    let device = try global.makeDevice()
    let libraries = DenseLibrary.found(), host = Machine.read()
    let machine = MachineRecord(device: device, libraries: libraries, limits: try device.measureLimits())
    let found = Set(libraries.map(\.name)), cuda = CUDADiagnosis.read()
    let diagnosis = Diagnosis(
      machine: machine, cores: host.coresDescription, memory: host.memoryDescription,
      instructionSets: CPUDevice.available,
      denseLibraries: libraries.map { Library(name: $0.name, version: $0.version, kernels: $0.kernels, path: $0.path) },
      missingLibraries: DenseFamily.allCases.map(\.rawValue).filter { !found.contains($0) },
      gnuplot: FigureTool.found() != nil,
      devices: [
        DeviceDiagnosis(
          name: "cpu", available: true, remark: "forward and both gradients", primitives: Self.primitives,
          unsupported: Self.unsupported { try CPUDevice(threads: 1) }),
        DeviceDiagnosis(
          name: "cuda", available: cuda.isAvailable, remark: cuda.summary, primitives: cuda.primitives + cuda.libraries,
          unsupported: cuda.isAvailable ? Self.unsupported { try CUDADevice() } : nil),
      ])
    if global.json { return Output.write(try RecordJSON.indented(diagnosis, for: "standard output") + [10]) }
    show(diagnosis)
  }

  private func show(_ d: Diagnosis) {
    let machine = d.machine
    Output.line("processor        \(machine.processor), \(d.cores)")
    Output.line("memory           \(d.memory)")
    Output.line("system           \(machine.operatingSystem)")
    Output.line("instruction sets \(d.instructionSets.joined(separator: ", ")); in use: \(machine.isa)")
    Output.line(
      "peak             \(Numeral.fixed(machine.peakFlopsPerSecond / 1e9, 1)) GFLOP/s "
        + "\(machine.peakInstruction ?? "multiply-add"), measured on "
        + (machine.device == "cpu" ? machine.threadsText : "\(machine.threads) multiprocessors of \(machine.device)"))
    Output.line("bandwidth        \(Numeral.fixed(machine.bytesPerSecond / 1e9, 1)) GB/s read from memory, measured")
    for library in d.denseLibraries {
      let kernels = library.kernels.map { ", \($0) kernels" } ?? ""
      Output.line("dense library    \(library.name) \(library.version)\(kernels) (\(library.path))")
    }
    if d.denseLibraries.isEmpty { Output.line("dense library    none: the own dense product is the baseline") }
    if !d.missingLibraries.isEmpty { Output.line("not found        \(d.missingLibraries.joined(separator: ", "))") }
    Output.line("energy counters  \(machine.energyReadable ? "readable" : "not readable: joules will be null")")
    if let readable = machine.gpuEnergyReadable {
      Output.line("GPU's energy     \(readable ? "readable" : "not readable: gpuJoules will be null")")
    }
    Output.line(
      "gnuplot          \(d.gnuplot ? "found" : "not found: reports will have no pictures; 'make setup' installs it")")
    for device in d.devices {
      Output.line("device           \(device.name): \(device.remark)")
      for primitive in device.primitives { Output.line("                 - \(primitive)") }
      for lacking in device.unsupported ?? [] {
        Output.line("                 - \(lacking.structure) cannot be computed: \(lacking.missing)")
      }
    }
  }
}
