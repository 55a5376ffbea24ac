import Arrays
import FakeCUDA
import Foundation
import Measuring
import Model
import Records
import Testing
import Training

@testable import Devices

/// A GPU's energy is what its own counter moved by, or nothing: never the processor's, another GPU's, or zero for unknown.
@Suite struct EnergyTests {
  @Test("Millijoules become joules, and a meter gives what has passed since its mark")
  func advance() throws {
    fake_reset()
    fake_set_energy(0, 1_234_567)
    do {
      let device = try fakeDevice(.bf16)
      #expect(device.countedJoules() == 1234.567)
      var meter = EnergyMeter(device, root: "/nonexistent")
      #expect(meter.readsGPU == true && !meter.readsProcessor)
      fake_set_energy(0, 1_234_567 + 2_500)
      let reading = meter.read()
      #expect(reading.joules == nil && reading.gpuJoules == 1237.067 - 1234.567)
      meter.mark()
      // It can be read and has not moved: that is a zero.
      #expect(meter.read().gpuJoules == 0)
      fake_set_energy(0, 1_234_567 + 2_750)
      #expect(meter.read().gpuJoules == 1237.317 - 1237.067)
    }
    #expect(fake_live_objects() == 0)
  }

  @Test("The counter is that of the GPU that computes, however the process's GPUs are numbered")
  func renumbered() throws {
    fake_reset()
    fake_set_devices(2)
    fake_show_devices_from(3)
    for physical in 0..<6 { fake_set_energy(Int32(physical), UInt64(1000 * (physical + 1))) }
    for (index, joules) in [(0, 4.0), (1, 5.0)] {
      #expect(try CUDADevice(fakeLibraries(), index: index, precision: .bf16).countedJoules() == joules)
    }
  }

  /// What takes the counter away, and the GPU still computes.
  enum Loss: CaseIterable { case library, symbol, start, handle, counter, bus }

  private func take(_ loss: Loss) {
    switch loss {
    case .library: fake_hide("nvml")
    case .symbol: fake_hide("nvmlDeviceGetTotalEnergyConsumption")
    case .start: fake_fail("nvmlInit_v2", 1, 9)
    case .handle: fake_fail("nvmlDeviceGetHandleByPciBusId_v2", 1, 6)
    case .counter: fake_have_no_energy()
    case .bus: fake_fail("cuDeviceGetPCIBusId", 1, 1)
    }
  }

  @Test(
    "Without NVML, its function, or a counter there is no energy, and nothing else is missing", arguments: Loss.allCases
  )
  func absent(_ loss: Loss) throws {
    fake_reset()
    take(loss)
    do {
      let device = try fakeDevice(.fp32)
      #expect(device.countedJoules() == nil)
      var meter = EnergyMeter(device, root: "/nonexistent")
      #expect(meter.readsGPU == false)
      meter.mark()
      let reading = meter.read()
      #expect(reading.joules == nil && reading.gpuJoules == nil)
      #expect(try device.numbers(device.makeVector([1, 2, 3])) == [1, 2, 3])
    }
    #expect(fake_live_objects() == 0 && fake_live_allocations() == 0)
  }

  @Test("A reading that fails, at either end, and a counter that begins anew give no energy; the next mark does again")
  func interrupted() throws {
    fake_reset()
    let device = try fakeDevice(.bf16)
    fake_set_energy(0, 5000)
    var meter = EnergyMeter(device, root: "/nonexistent")
    fake_fail("nvmlDeviceGetTotalEnergyConsumption", 1, 15)
    #expect(meter.read().gpuJoules == nil)
    fake_fail("nvmlDeviceGetTotalEnergyConsumption", 1, 15)
    meter.mark()
    #expect(meter.read().gpuJoules == nil)
    meter.mark()
    fake_set_energy(0, 10)
    #expect(meter.read().gpuJoules == nil)
    meter.mark()
    fake_set_energy(0, 4010)
    #expect(meter.read().gpuJoules == 4.01 - 0.01)
  }

  @Test("A processor has no counter of its own to show: its energy is the packages'")
  func processor() throws {
    let device = try CPUDevice(threads: 1)
    #expect(device.countedJoules() == nil && EnergyMeter(device).readsGPU == nil)
  }

  @Test("NVML without the counter still tells the driver's version")
  func oldLibrary() throws {
    fake_reset()
    fake_hide("nvmlDeviceGetTotalEnergyConsumption")
    let libraries = try fakeLibraries()
    #expect(libraries.energy == nil && libraries.management != nil)
  }

  /// The metrics of two steps of a small model, and the joules that the counter moved by in all.
  private func train() throws -> (metrics: [MetricRecord], passed: Double?) {
    let device = try fakeDevice(.fp32)
    let corpus = try Corpus.generated(seed: 1, sequence: 16, trainingBytes: 2000, validationBytes: 200)
    let configuration = TrainingConfiguration(
      preset: "test",
      architecture: Architecture(
        hiddenSize: 16, intermediateSize: 32, layers: 1, heads: 1, keyValueHeads: 1, headDimension: 16,
        vocabularySize: 256),
      structure: "dense", density: 1, data: [], validation: [], dataChecksum: corpus.checksum, tokenizer: "bytes",
      steps: 2, batch: 1, sequence: 16, learningRate: 1e-3, warmupSteps: 1, evaluateEvery: 1, evaluationSequences: 1,
      checkpointEvery: 2)
    let machine = MachineRecord(
      device: device, libraries: [], limits: DeviceLimits(flopsPerSecond: 1e9, bytesPerSecond: 1e9))
    let plan = try RunPlan(
      configuration, seed: 1, argv: [], machine: machine, versions: [:],
      logitTokens: device.tokensOfLogits(vocabulary: 256))
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("filigree-energy-\(UUID())")
    defer { try? FileManager.default.removeItem(at: folder) }
    let trainer = try Trainer(plan.record, plan: plan.model, corpus: corpus, folder: folder, on: device)
    let start = device.countedJoules()
    var metrics: [MetricRecord] = []
    _ = try trainer.run(interrupted: { false }) { metrics.append($0) }
    #expect(plan.record.machine.gpuEnergyReadable == (start != nil))
    return (metrics, start.flatMap { start in device.countedJoules().map { $0 - start } })
  }

  @Test("A training step on a GPU records the GPU's joules, those of its own launches and not of evaluations")
  func trainingStep() throws {
    fake_reset()
    fake_use_energy(7)
    let (metrics, passed) = try train()
    let steps = metrics.filter { $0.loss != nil }.map(\.gpuJoules)
    let joules = steps.compactMap { $0 }
    #expect(joules.count == 2 && joules.allSatisfy { $0 > 0 })
    #expect(metrics.allSatisfy { $0.loss != nil || $0.gpuJoules == nil })
    #expect(joules.reduce(0, +) < (try #require(passed)))
  }

  @Test("A training step on a GPU without a counter records no GPU energy")
  func trainingStepWithout() throws {
    fake_reset()
    fake_use_energy(7)
    fake_have_no_energy()
    #expect(try train().metrics.allSatisfy { $0.gpuJoules == nil })
  }
}
