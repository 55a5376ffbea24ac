import ArgumentParser
import Arrays
import Devices
import Measuring

/// The options of every subcommand.
struct GlobalOptions: ParsableArguments {
  @Flag(help: "Print a machine-readable result.") var json = false
  @Flag(help: "No progress and no remarks on standard error.") var quiet = false
  @Option(help: "Threads to compute with; by default one for each core.") var threads: Int?
  @Option(help: "cpu, or cuda[:i].") var device = "cpu"
  @Option(help: "Decides every random number.") var seed: UInt64 = 1
  @Option(help: "Instruction set of the CPU's kernels: scalar, avx2, avx512 or neon; by default the best here.")
  var isa: String?

  /// - Throws: a `Refusal` of kind `missing` for a device that is not here.
  func makeDevice() throws -> any Device {
    if device == "cpu" { return try CPUDevice(threads: threads, isa: isa) }
    let index = device.dropFirst("cuda:".count)
    guard device == "cuda" || device.hasPrefix("cuda:") && Int(index).map({ $0 >= 0 }) == true else {
      throw Refusal.badInput("there is no kind of device '\(device)'; write cpu, cuda or cuda:0")
    }
    throw Refusal.missing("this version of filigree has no CUDA device; use --device cpu")
  }

  func remark(_ sentence: String) {
    if !quiet { Output.complain(sentence) }
  }
}
