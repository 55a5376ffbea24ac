import CCUDA

/// A GPU's own energy counter, read by NVML: millijoules of the whole GPU, memory and other processes included, since the
/// driver was loaded. It moves every 20 to 100 milliseconds; GPUs have it from Volta on.
final class CUDAEnergyCounter: @unchecked Sendable {
  private let functions: fg_energy
  private let device: fg_handle

  /// Nil where NVML is missing, fails or lacks the counter, and where it cannot read the counter of this GPU.
  init?(_ context: CUDAContext) {
    guard let functions = context.libraries.energy, let bus = context.busID, functions.`init`!() == 0 else {
      return nil
    }
    var device: fg_handle?
    guard functions.deviceByPCIBusId!(bus, &device) == 0, let device else {
      _ = functions.shutdown!()
      return nil
    }
    self.functions = functions
    self.device = device
    guard joules() != nil else { return nil }
  }

  deinit { _ = functions.shutdown!() }

  /// Joules since the driver was loaded; nil when the counter cannot be read now.
  func joules() -> Double? {
    var millijoules: UInt64 = 0
    guard functions.totalEnergy!(device, &millijoules) == 0 else { return nil }
    return Double(millijoules) / 1000
  }
}
