import Records
import Training

/// What a dry run shows.
struct PlanPrinter {
  let json: Bool
  /// By products timed now; nil where they cannot be.
  let estimatedSeconds: Double?

  private struct Plan: Encodable {
    let structure: String
    let parameters: RunRecord.Count
    let density: RunRecord.Density
    let effectiveWidth: Int
    let averageParameters: Double?
    let flopsPerStep: Double
    let trainingFlops: Double?
    let tokensPerStep: Int
    let tokensPerParameter: Double
    let memoryBytes: Int
    let memory: RunRecord.Memory?
    let machineMemoryBytes: Int
    let exceedsMemory: Bool
    let leastSecondsPerStep: Double
    let estimatedSecondsPerStep: Double?
    let configuration: TrainingConfiguration
  }

  func show(_ run: RunPlan) throws {
    let record = run.record, c = record.configuration
    // What a method adds is spread over the steps.
    let average = record.trainingFlops.map { $0 / Double(c.steps) } ?? record.flopsPerStep
    let plan = Plan(
      structure: record.structure, parameters: record.parameters, density: record.density,
      effectiveWidth: record.effectiveWidth, averageParameters: record.averageParameters,
      flopsPerStep: record.flopsPerStep, trainingFlops: record.trainingFlops, tokensPerStep: c.batch * c.sequence,
      tokensPerParameter: record.tokensPerParameter ?? 0,
      memoryBytes: record.plannedBytes ?? 0, memory: record.memory, machineMemoryBytes: record.machine.memoryBytes,
      exceedsMemory: record.exceedsMemory,
      leastSecondsPerStep: average / record.machine.peakFlopsPerSecond, estimatedSecondsPerStep: estimatedSeconds,
      configuration: c)
    if json { return Output.write(try RecordJSON.indented(plan, for: "standard output") + [10]) }
    let least = plan.leastSecondsPerStep, seconds = estimatedSeconds ?? least
    Output.line(
      """
      \(c.preset), MLP \(plan.structure), density \(Numeral.fixed(plan.density.mlp, 4)) of the MLP, \
      \(Numeral.fixed(plan.density.whole, 4)) of the model
      parameters      \(Numeral.grouped(plan.parameters.whole)), of them MLP \(Numeral.grouped(plan.parameters.mlp))
      \(onAverage(plan))effective width \(plan.effectiveWidth) of \(c.architecture.intermediateSize) hidden units
      tokens a step   \(Numeral.grouped(plan.tokensPerStep)) (\(c.batch) x \(c.sequence)), \(Numeral.grouped(c.steps)) steps
      in all          \(Numeral.fixed(plan.tokensPerParameter, 2)) tokens per parameter\(plan.tokensPerParameter < 20 ? ": an early curve, below 20" : "")
      operations      \(Numeral.fixed(plan.flopsPerStep / 1e9, 2)) GFLOP a step\(added(average, plan.flopsPerStep))
      memory          \(gigabytes(plan.memoryBytes))\(parts(plan))\(tooMuch(plan))
      time            \(estimatedSeconds == nil ? "at least" : "about") \(Numeral.fixed(seconds, 3)) s a step, \
      \(ProgressLine.clock(seconds * Double(c.steps))) in all, \
      \(estimatedSeconds == nil ? "" : "by products timed now; at least \(Numeral.fixed(least, 3)) s a step ")\
      at this machine's measured peak of \(Numeral.fixed(record.machine.peakFlopsPerSecond / 1e9, 1)) GFLOP/s
      """)
  }

  private func gigabytes(_ bytes: Int) -> String { "\(Numeral.fixed(Double(bytes) / 1e9, 3)) GB" }

  private func parts(_ plan: Plan) -> String {
    guard let memory = plan.memory else { return "" }
    let parts = [
      ("parameters", memory.parameters), ("activations", memory.activations), ("passing", memory.passing),
      ("patterns", memory.patterns),
      ("beside the model", memory.beside),
    ]
    let text = parts.filter { $0.1 > 0 }.map { "\($0.0) \(gigabytes($0.1))" }.joined(separator: ", ")
    return " (\(text))" + (memory.process.map { ", and program and text hold \(gigabytes($0)) now" } ?? "")
  }

  private func tooMuch(_ plan: Plan) -> String {
    plan.exceedsMemory
      ? ": more than the \(gigabytes(plan.machineMemoryBytes)) of this machine, where it will not run" : ""
  }

  /// What training adds to the model's own operations: guides, dense gradients, a dense beginning.
  private func added(_ average: Double, _ own: Double) -> String {
    average > own * 1.0005
      ? ", \(Numeral.fixed(average / 1e9, 2)) on average with what the way of training adds" : ""
  }

  /// A line of its own where the model is larger at first.
  private func onAverage(_ plan: Plan) -> String {
    guard let average = plan.averageParameters, average > 1.0005 * Double(plan.parameters.whole) else { return "" }
    return "on average      \(Numeral.grouped(Int(average))) over the steps\n"
  }
}
