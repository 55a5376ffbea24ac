import Devices
import Model
import Structures

/// Numbers of one flat vector carried over to new patterns: what stays keeps its bits, what is new is zero.
struct Remap {
  let old: MistralPlan
  let new: MistralPlan
  let device: any Device
  private let changed: [Change]

  private struct Change {
    let from: Range<Int>
    let to: Range<Int>
    /// For each new number the old one's index in its matrix; -1 where there was none.
    let source: [Int32]
  }

  /// - Parameter sites: for each matrix whose structure differs.
  init(from old: MistralPlan, to new: MistralPlan, _ sites: [String: Sites], on device: any Device) {
    self.old = old
    self.new = new
    self.device = device
    changed = zip(old.linears, new.linears).compactMap { before, after in
      guard let sites = sites[before.name] else { return nil }
      var place = [Int32](repeating: -1, count: sites.target.shape.count)
      for (index, entry) in sites.entries(of: before.structure).enumerated() { place[Int(entry)] = Int32(index) }
      return Change(
        from: before.range, to: after.range, source: sites.entries(of: after.structure).map { place[Int($0)] })
    }
  }

  /// In the old vector where every matrix keeps its size, else in a new one.
  func apply(to vector: Vector) throws -> Vector {
    let keepsSizes = changed.allSatisfy { $0.from == $0.to } && old.parameterCount == new.parameterCount
    let target = keepsSizes ? vector : try device.makeVector(count: new.parameterCount)
    if !keepsSizes {
      let places = Dictionary(uniqueKeysWithValues: old.tensors.map { ($0.name, $0.range) })
      for tensor in new.tensors where !changed.contains(where: { $0.to.contains(tensor.range.lowerBound) }) {
        guard let range = places[tensor.name] else { continue }
        try write(try device.numbers(vector[range]), to: target[tensor.range])
      }
    }
    for change in changed {
      let numbers = try device.numbers(vector[change.from])
      try write(change.source.map { $0 < 0 ? 0 : numbers[Int($0)] }, to: target[change.to])
    }
    return target
  }

  private func write(_ numbers: [Float], to vector: Vector) throws {
    try numbers.withUnsafeBufferPointer { try device.write($0, to: vector) }
  }

  /// Weights that are in a new pattern and were not in the old one, and the other way round.
  var newcomers: Int { changed.reduce(0) { $0 + $1.source.count { $0 < 0 } } }
  var leavers: Int {
    changed.reduce(0) { $0 + $1.from.count } - changed.reduce(0) { $0 + $1.source.count { $0 >= 0 } }
  }
}
