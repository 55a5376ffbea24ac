import Devices
import Records

extension MachineRecord {
  /// This machine, with the limits just measured on `device`.
  package init(device: any Device, libraries: [DenseLibrary], limits: DeviceLimits) {
    let machine = Machine.read(), meter = EnergyMeter(device), cuda = device as? CUDADevice
    let checks = [try? cuda?.kernelCheck(), try? cuda?.sparseLibrary()].compactMap { $0 ?? nil }
    self.init(
      processor: machine.processor, cores: machine.cores, memoryBytes: machine.memoryBytes,
      operatingSystem: machine.operatingSystem, isa: device.isa, device: device.name, threads: device.threads,
      peakFlopsPerSecond: limits.flopsPerSecond, bytesPerSecond: limits.bytesPerSecond,
      denseLibraries: libraries.map(\.description), energyReadable: meter.readsProcessor,
      gpuEnergyReadable: meter.readsGPU, kernelCheck: checks.isEmpty ? nil : checks.joined(separator: "; "),
      peakInstruction: limits.multiplyAdd)
  }

  /// One line for every bench record.
  package var summary: String { "\(processor), \(cores) core\(cores == 1 ? "" : "s"), \(operatingSystem)" }
}
