import Devices
import Measuring
import Model
import Records

/// One run on paper: the configuration, the model's plan and the record that `run.json` will hold.
package struct RunPlan: Sendable {
  package let model: MistralPlan
  package let record: RunRecord

  package init(
    _ configuration: TrainingConfiguration, seed: UInt64, argv: [String], machine: MachineRecord,
    versions: [String: String]
  ) throws {
    try Trainer.check(configuration)
    model = try MistralPlan(
      configuration.architecture, structure: configuration.structure, density: configuration.density, seed: seed)
    record = RunRecord(
      argv: argv, structure: model.structureLabel, configuration: configuration, seed: seed, machine: machine,
      versions: versions, commit: Commit.current,
      parameters: RunRecord.Count(whole: model.parameterCount, mlp: model.mlpParameterCount),
      density: RunRecord.Density(whole: model.density, mlp: model.mlpDensity), effectiveWidth: model.effectiveWidth,
      flopsPerStep: model.flopsPerStep(batch: configuration.batch, sequence: configuration.sequence),
      time: TimeStamp.now())
  }
}
