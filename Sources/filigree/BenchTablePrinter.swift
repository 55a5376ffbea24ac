import Records

/// Bench records on standard output as they come: a table for people, or one JSON object a line.
struct BenchTablePrinter {
  let json: Bool

  func begin(_ machine: MachineRecord) {
    guard !json else { return }
    Output.line(
      "\(machine.processor), \(machine.isa), \(machine.threadsText): peak "
        + "\(Numeral.fixed(machine.peakFlopsPerSecond / 1e9, 1)) GFLOP/s, memory \(Numeral.fixed(machine.bytesPerSecond / 1e9, 1)) GB/s; "
        + "dense: \(machine.denseLibraries.isEmpty ? "own" : machine.denseLibraries.joined(separator: ", "))")
    Output.line(
      row(
        "structure", "shape", "tokens", "density", "pass", "ms", "spread", "GFLOP/s", "of peak", "dense ms", "by",
        "speed-up", "of ideal", "error"))
  }

  func show(_ record: BenchRecord) throws {
    if json {
      Output.write(try RecordJSON.line(record, for: "standard output") + [10])
      return
    }
    Output.line(
      row(
        record.structure, "\(record.outputs)x\(record.inputs)", "\(record.tokens)", Numeral.fixed(record.density, 4),
        record.pass, Numeral.fixed(record.seconds * 1e3, 3), "\(Numeral.fixed(record.spread * 100, 1))%",
        Numeral.fixed(record.flopsPerSecond / 1e9, 1), "\(Numeral.fixed(record.efficiency * 100, 0))%",
        Numeral.fixed(record.dense.seconds * 1e3, 3), record.dense.library,
        record.verified ? "\(Numeral.fixed(record.speedup, 2))x" : "WRONG",
        record.verified ? "\(Numeral.fixed(record.speedup / record.idealSpeedup * 100, 0))%" : "WRONG",
        Numeral.fixed(record.errorFraction, 3)) + remark(record))
  }

  /// What must not be overlooked beside the numbers.
  private func remark(_ record: BenchRecord) -> String {
    let remarks = [
      record.simulated == true ? "simulated: multiplies its zeros" : nil,
      record.exceedsIdeal
        ? "above the ideal: run again when the machine is quiet, unless only this fits its cache" : nil,
      record.padding.map { "\(Numeral.fixed($0 * 100, 0))% of the work is padding" },
    ].compactMap { $0 }
    return remarks.isEmpty ? "" : "  " + remarks.joined(separator: "; ")
  }

  private func row(_ cells: String...) -> String {
    let widths = [18, 11, 6, 7, 14, 9, 7, 8, 7, 9, 16, 8, 8, 6]
    return zip(cells, widths).enumerated().map { index, pair in
      let gap = String(repeating: " ", count: max(0, pair.1 - pair.0.count))
      return [0, 4, 10].contains(index) ? pair.0 + gap : gap + pair.0
    }.joined(separator: "  ")
  }
}
