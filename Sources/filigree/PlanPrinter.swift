import Records
import Training

/// What a dry run shows.
struct PlanPrinter {
  let json: Bool

  private struct Plan: Encodable {
    let structure: String
    let parameters: RunRecord.Count
    let density: RunRecord.Density
    let effectiveWidth: Int
    let flopsPerStep: Double
    let tokensPerStep: Int
    let memoryBytes: Int
    let leastSecondsPerStep: Double
    let configuration: TrainingConfiguration
  }

  func show(_ run: RunPlan) throws {
    let record = run.record, c = record.configuration
    let plan = Plan(
      structure: record.structure, parameters: record.parameters, density: record.density,
      effectiveWidth: record.effectiveWidth, flopsPerStep: record.flopsPerStep, tokensPerStep: c.batch * c.sequence,
      memoryBytes: run.model.trainingBytes(batch: c.batch, sequence: c.sequence),
      leastSecondsPerStep: record.flopsPerStep / record.machine.peakFlopsPerSecond, configuration: c)
    if json { return Output.write(try RecordJSON.indented(plan, for: "standard output") + [10]) }
    let seconds = plan.leastSecondsPerStep
    Output.line(
      """
      \(c.preset), MLP \(plan.structure), density \(Numeral.fixed(plan.density.mlp, 4)) of the MLP, \
      \(Numeral.fixed(plan.density.whole, 4)) of the model
      parameters      \(Numeral.grouped(plan.parameters.whole)), of them MLP \(Numeral.grouped(plan.parameters.mlp))
      effective width \(plan.effectiveWidth) of \(c.architecture.intermediateSize) hidden units
      tokens a step   \(Numeral.grouped(plan.tokensPerStep)) (\(c.batch) x \(c.sequence)), \(Numeral.grouped(c.steps)) steps
      operations      \(Numeral.fixed(plan.flopsPerStep / 1e9, 2)) GFLOP a step
      memory          \(Numeral.fixed(Double(plan.memoryBytes) / 1e9, 3)) GB
      time            at least \(Numeral.fixed(seconds, 3)) s a step, \(ProgressLine.clock(seconds * Double(c.steps))) in all, \
      at this machine's measured peak of \(Numeral.fixed(record.machine.peakFlopsPerSecond / 1e9, 1)) GFLOP/s
      """)
  }
}
