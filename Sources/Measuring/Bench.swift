import Arrays
import Devices
import Foundation
import Records
import Structures

/// Times the three products of structures beside the best dense GEMM, each verified first.
package final class Bench {
  package let device: any Device
  /// Dense libraries to beat, beside the own dense product.
  package let libraries: [DenseLibrary]
  package let machine: MachineRecord
  package let limits: DeviceLimits
  package var seed: UInt64 = 1
  /// Seconds for one pass of one structure, all candidates together.
  package var budget = 0.25
  private let energy: EnergyMeter
  /// The last one, which the next structure at the same shape and number of tokens meets again.
  private var rival: Rival?

  package init(device: any Device, libraries: [DenseLibrary]) throws {
    self.device = device
    self.libraries = libraries
    energy = EnergyMeter(device)
    limits = try device.measureLimits()
    machine = MachineRecord(device: device, libraries: libraries, limits: limits)
    for library in libraries { library.setThreads(device.threads) }
  }

  /// Refuses what cannot be timed in so many bytes: four matrices in Double to verify with, the weights three times, and
  /// both activations five times.
  package static func requireMemory(_ shape: Shape, tokens: Int, of bytes: Int) throws {
    let needed = 44 * Double(shape.count) + 20 * Double(tokens) * Double(shape.outputs + shape.inputs)
    guard needed <= Double(bytes) else {
      throw Refusal.badInput(
        "timing \(shape) at \(tokens) tokens needs more memory than the \(bytes) bytes here; use fewer --tokens or "
          + "smaller --shapes")
    }
  }

  /// One structure at one number of tokens: a record for each pass.
  package func run(
    _ structure: any Structure, requestedDensity: Double, tokens: Int, passes: [DenseProduct],
    each: (BenchRecord) throws -> Void
  ) throws {
    try Bench.requireMemory(structure.shape, tokens: tokens, of: machine.memoryBytes)
    let cell = try BenchCell(structure, tokens: tokens, seed: seed, on: device)
    let verification = Verification(cell)
    let rival = try rival(structure.shape, tokens: tokens)
    for pass in passes {
      let errorFraction = try verification.errorFraction(pass)
      try each(try time(cell, rival, pass, requestedDensity: requestedDensity, errorFraction: errorFraction))
    }
  }

  private func rival(_ shape: Shape, tokens: Int) throws -> Rival {
    if let rival, rival.fits(shape, tokens: tokens, seed: seed) { return rival }
    rival = nil
    let new = try Rival(shape, tokens: tokens, libraries: libraries, seed: seed, on: device)
    rival = new
    return new
  }

  private func time(
    _ cell: BenchCell, _ rival: Rival, _ pass: DenseProduct, requestedDensity: Double, errorFraction: Double
  ) throws -> BenchRecord {
    let structure = cell.structure, shape = structure.shape
    let candidates =
      [(name: structure.label, body: { try cell.run(pass) })]
      + (try rival.candidates(pass, besideDense: structure is Dense))
    let timings = try Sampler.interleave(candidates, budget: budget)
    let own = timings[0]
    guard let dense = timings.dropFirst().min(by: { $0.seconds < $1.seconds }) else {
      preconditionFailure("a rival always has a candidate")
    }
    let flops = Double(try cell.flops(pass)), bytes = Double(cell.bytes(pass))
    let rows = UnsafeMutableBufferPointer<Float>.allocate(capacity: cell.tokens * max(shape.inputs, shape.outputs))
    defer { rows.deallocate() }
    let conversion = try Sampler.interleave(
      [("conversion", { try cell.convert(pass, into: rows) })], minimumRepeats: 3, budget: 0)
    let energy = try joules(own.seconds) { try cell.run(pass) }
    return BenchRecord(
      structure: structure.label, outputs: shape.outputs, inputs: shape.inputs, tokens: cell.tokens,
      density: structure.density, requestedDensity: requestedDensity, pass: pass.rawValue, dtype: cell.dtype(pass),
      device: device.name, isa: device.isa, threads: device.threads, seconds: own.seconds, spread: own.spread,
      repeats: own.repeats, flops: flops, bytes: bytes, flopsPerSecond: flops / own.seconds,
      efficiency: flops / own.seconds / limits.flopsPerSecond,
      predictedSeconds: max(flops / limits.flopsPerSecond, bytes / limits.bytesPerSecond),
      dense: BenchRecord.Dense(library: dense.name, seconds: dense.seconds, spread: dense.spread),
      speedup: dense.seconds / own.seconds,
      idealSpeedup: 1 / structure.density, conversionSeconds: conversion[0].seconds,
      verified: errorFraction <= 1, errorFraction: errorFraction.isFinite ? errorFraction : 1e30,
      joules: energy.joules, gpuJoules: energy.gpuJoules,
      simulated: structure.card.isSimulated ? true : nil, padding: structure.padding > 0 ? structure.padding : nil,
      machine: machine.summary, commit: Commit.current,
      time: TimeStamp.now())
  }

  /// Energy of one call, where it can be read: enough calls in a row to fill a twentieth of a second, or half a second
  /// where a GPU's counter is read, which moves every 20 to 100 milliseconds.
  private func joules(_ seconds: Double, _ body: () throws -> Void) throws -> EnergyMeter.Reading {
    var meter = energy
    guard meter.readsProcessor || meter.readsGPU == true else { return EnergyMeter.Reading() }
    let calls = max(1, Int((meter.readsGPU == true ? 0.5 : 0.05) / max(seconds, 1e-7)))
    try device.synchronize()
    meter.mark()
    for _ in 0..<calls { try body() }
    try device.synchronize()
    let reading = meter.read()
    // Half a second without a millijoule is no measurement.
    return EnergyMeter.Reading(
      joules: reading.joules.map { $0 / Double(calls) },
      gpuJoules: reading.gpuJoules.flatMap { $0 > 0 ? $0 / Double(calls) : nil })
  }
}
