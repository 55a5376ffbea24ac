import Arrays
import Devices
import Structures

/// The dense product that a structure has to beat: the best of every library found and the own one.
final class Rival {
  private let shape: Shape
  private let tokens: Int
  private let seed: UInt64
  private let libraries: [DenseLibrary]
  /// The own dense product, a rival too: a library is not made the baseline where it is the slower one.
  private let own: BenchCell
  private let x: [Float]
  private let dy: [Float]
  private let w: [Float]
  private let result: UnsafeMutablePointer<Float>

  /// What each product's check found: the libraries that are right, and what is said of the others.
  private var checked: [DenseProduct: (right: [DenseLibrary], remark: String)] = [:]
  private var ownIsRight: Set<DenseProduct> = []

  private static let sampledEntries = 64

  init(_ shape: Shape, tokens: Int, libraries: [DenseLibrary], seed: UInt64, on device: any Device) throws {
    self.shape = shape
    self.tokens = tokens
    self.seed = seed
    self.libraries = libraries
    own = try BenchCell(Dense(shape: shape), tokens: tokens, seed: seed, on: device)
    var generator = SeededGenerator(seed: seed, "rival")
    func uniform(_ count: Int) -> [Float] { (0..<count).map { _ in Float(generator.uniform() - 0.5) } }
    x = uniform(libraries.isEmpty ? 0 : tokens * shape.inputs)
    dy = uniform(libraries.isEmpty ? 0 : tokens * shape.outputs)
    w = uniform(libraries.isEmpty ? 0 : shape.count)
    result = .allocate(capacity: max(tokens * max(shape.outputs, shape.inputs), shape.count))
  }

  deinit { result.deallocate() }

  func fits(_ shape: Shape, tokens: Int, seed: UInt64) -> Bool {
    self.shape == shape && self.tokens == tokens && self.seed == seed
  }

  /// What is timed beside a structure: every library and the own dense product, each checked when it is first asked for. One
  /// that is wrong is no rival, and its name says so in the record.
  func candidates(_ pass: DenseProduct, besideDense: Bool) throws -> [(name: String, body: () throws -> Void)] {
    let (right, remark) = check(pass)
    var candidates = right.map { library in
      (name: library.description + remark, body: { () throws -> Void in self.run(pass, library) })
    }
    // Dense beside itself would say nothing where there is another rival.
    if besideDense && !candidates.isEmpty { return candidates }
    if !ownIsRight.contains(pass) {
      guard try Verification(own).errorFraction(pass) <= 1 else {
        throw Refusal.failed("the own dense \(pass.rawValue) of \(shape) at \(tokens) tokens is wrong; report this")
      }
      ownIsRight.insert(pass)
    }
    candidates.append(("filigree dense" + remark, { try self.own.run(pass) }))
    return candidates
  }

  private func check(_ pass: DenseProduct) -> (right: [DenseLibrary], remark: String) {
    if let found = checked[pass] { return found }
    let right = libraries.filter { errorFraction(pass, $0) <= 1 }
    let wrong = libraries.filter { library in !right.contains { $0 === library } }
    let found = (right, wrong.isEmpty ? "" : " (wrong: \(wrong.map(\.description).joined(separator: ", ")))")
    checked[pass] = found
    return found
  }

  /// The worst error of a sample of the library's entries against sums in Double, as a fraction of gamma_n times the
  /// absolute sum.
  private func errorFraction(_ pass: DenseProduct, _ library: DenseLibrary) -> Double {
    run(pass, library)
    var generator = SeededGenerator(seed: 2, "rival sample")
    var worst = 0.0
    for _ in 0..<Self.sampledEntries {
      let t = generator.index(below: tokens), o = generator.index(below: shape.outputs)
      let i = generator.index(below: shape.inputs)
      let entry: (got: Float, terms: [(Float, Float)])
      switch pass {
      case .forward:
        entry = (
          result[t * shape.outputs + o], (0..<shape.inputs).map { (x[t * shape.inputs + $0], w[o * shape.inputs + $0]) }
        )
      case .inputGradient:
        entry = (
          result[t * shape.inputs + i],
          (0..<shape.outputs).map { (dy[t * shape.outputs + $0], w[$0 * shape.inputs + i]) }
        )
      case .weightGradient:
        entry = (
          result[o * shape.inputs + i], (0..<tokens).map { (dy[$0 * shape.outputs + o], x[$0 * shape.inputs + i]) }
        )
      }
      let sum = entry.terms.reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      let size = entry.terms.reduce(0.0) { $0 + abs(Double($1.0) * Double($1.1)) }
      let error = abs(Double(entry.got) - sum)
      guard error.isFinite else { return .infinity }
      worst = max(worst, error / (RoundingBound.gamma(entry.terms.count + 2) * size))
    }
    return worst
  }

  private func run(_ pass: DenseProduct, _ library: DenseLibrary) {
    let (left, right) = pass == .forward ? (x, w) : pass == .inputGradient ? (dy, w) : (dy, x)
    left.withUnsafeBufferPointer { left in
      right.withUnsafeBufferPointer { right in
        guard let a = left.baseAddress, let b = right.baseAddress else { return }
        pass.run(
          library, tokens: tokens, inputs: shape.inputs, outputs: shape.outputs, left: a, right: b, result: result)
      }
    }
  }
}
