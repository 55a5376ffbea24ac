import Devices

/// The energy counters around a device: those of the processor packages, and the device's own where it has one.
package struct EnergyMeter: Sendable {
  /// What has passed since the mark; nil where a counter is missing or could not be read at both ends.
  package struct Reading: Sendable, Equatable {
    /// Of all processor packages.
    package var joules: Double?
    /// Of the GPU that computes. 0 where its counter has not moved: it does so every 20 to 100 milliseconds.
    package var gpuJoules: Double?
  }

  private let device: any Device
  private var processor: EnergyCounter?
  private var start: Double?

  /// Marked at this moment.
  /// - Parameter root: where the kernel's power capping interface lies.
  package init(_ device: any Device, root: String = "/sys/class/powercap") {
    self.device = device
    processor = EnergyCounter.open(root: root)
    start = device.countedJoules()
  }

  package var readsProcessor: Bool { processor != nil }
  /// Nil for a device whose energy is the processor's.
  package var readsGPU: Bool? { device is CUDADevice ? device.countedJoules() != nil : nil }

  /// Begins anew.
  package mutating func mark() {
    processor?.mark()
    start = device.countedJoules()
  }

  package mutating func read() -> Reading {
    Reading(joules: processor?.joules(), gpuJoules: passed)
  }

  /// A counter that went backwards began anew with its driver.
  private var passed: Double? {
    guard let start, let now = device.countedJoules(), now >= start else { return nil }
    return now - start
  }
}
