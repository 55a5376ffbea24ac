import Arrays
import FoundationEssentials
import Synchronization

/// Which of the kernels that never ran on a GPU before may be used on this one: each is compared with another kernel first.
///
/// A kernel that faults takes the process's use of the GPU with it, and one that hangs ends in a fault. So the cache folder is told
/// when a check begins and how it ended; one that began and never ended is not begun again.
final class CUDATrust: Sendable {
  enum Verdict: Equatable, Sendable {
    case agreed, differed
    /// What the driver said.
    case failed(String)
    /// The file that says so.
    case unfinished(String)
  }

  private enum Mark: UInt64 {
    case begun = 1
    case agreed, differed, failed
  }

  private struct State: @unchecked Sendable {
    var verdicts: [String: Verdict] = [:]
    var choices: CUDAChoices?
  }

  private let state = Mutex(State())
  private let trustsAll: Bool

  /// - Parameter trustsAll: nothing is checked, and everything has agreed.
  init(trustsAll: Bool) { self.trustsAll = trustsAll }

  /// The verdict on a kernel; `check` is run where there is none yet.
  /// - Throws: what the check throws where the GPU cannot be used afterwards.
  func verdict(_ kernel: String, of source: String, on device: CUDADevice, _ check: () throws -> Bool) throws -> Verdict
  {
    if trustsAll { return .agreed }
    return try state.withLock { state in
      if let known = state.verdicts[kernel] { return known }
      let choices =
        state.choices
        ?? CUDAChoices("\(device.gpuName) kernels", folder: device.cacheFolder)
      state.choices = choices
      let key = "\(kernel) \(device.modules.identity(of: source))"
      let verdict: Verdict
      if choices[key]?.first == Mark.begun.rawValue {
        verdict = .unfinished(choices.path)
      } else {
        choices[key] = CUDATrust.numbers(.begun)
        do {
          verdict = try check() ? .agreed : .differed
          choices[key] = CUDATrust.numbers(verdict == .agreed ? .agreed : .differed)
        } catch {
          // Nothing to go on with where the GPU is lost: the mark stays.
          try device.synchronize()
          verdict = .failed((error as? Refusal)?.sentence ?? "\(error)")
          choices[key] = CUDATrust.numbers(.failed)
        }
      }
      state.verdicts[kernel] = verdict
      return verdict
    }
  }

  private static func numbers(_ mark: Mark) -> [UInt64] { [mark.rawValue] + [UInt64](repeating: 0, count: 7) }

  /// One sentence for all of these kernels.
  func sentence(_ kernels: [(kernel: String, isUsed: Bool)]) -> String {
    let verdicts = state.withLock { $0.verdicts }
    let faults = kernels.filter { !$0.isUsed }.compactMap { kernel, _ -> String? in
      switch verdicts[kernel] {
      case .differed: "\(kernel) gave other numbers than mma.sync on this GPU"
      case .failed(let sentence): "\(kernel) failed on this GPU (\(sentence))"
      case .unfinished(let file): "\(kernel) did not end an earlier check on this GPU (remove \(file) to check again)"
      case .agreed, nil: nil
      }
    }
    return faults.isEmpty
      ? "wgmma kernels agreed with mma.sync on this GPU and are used where counting is for them"
      : faults.joined(separator: ", ") + ": mma.sync computes in its place"
  }
}
