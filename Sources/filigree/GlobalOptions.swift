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

  @Option(
    help:
      "What a CUDA device computes with: bf16 (by default), fp32 or tf32; sums, weights and moments are fp32 always.")
  var precision: String?

  /// - Throws: a `Refusal` of kind `missing` for a device that is not here.
  func makeDevice() throws -> any Device {
    guard let chosen = CUDAPrecision(rawValue: precision ?? "bf16") else {
      throw Refusal.badInput("there is no precision '\(precision ?? "")'; write bf16, fp32 or tf32")
    }
    if device == "cpu" {
      if precision != nil, chosen != .fp32 {
        throw Refusal.badInput(
          "the CPU computes in fp32 only; leave --precision \(chosen.rawValue) out, or choose --device cuda")
      }
      return try CPUDevice(threads: threads, isa: isa)
    }
    let index = device.dropFirst("cuda:".count)
    guard device == "cuda" || device.hasPrefix("cuda:") && Int(index).map({ $0 >= 0 }) == true else {
      throw Refusal.badInput("there is no kind of device '\(device)'; write cpu, cuda or cuda:0")
    }
    return try CUDADevice(index: Int(index) ?? 0, precision: chosen)
  }

  /// The dense products to beat: a processor's libraries are no rivals of a GPU, whose own dense product is cuBLASLt's.
  func denseLibraries() -> [DenseLibrary] {
    guard device == "cpu" else { return [] }
    let libraries = DenseLibrary.found()
    if libraries.isEmpty { remark("no OpenBLAS, BLIS or MKL found: the own dense product is the baseline") }
    return libraries
  }

  func remark(_ sentence: String) {
    if !quiet { Output.complain(sentence) }
  }
}
