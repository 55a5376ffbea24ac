import Arrays
import Devices
import Structures
import Synchronization

/// Dense matrices that stand beside the MLP's structured ones during training and are no part of the model.
///
/// - guide: o = alpha W x + (1 - alpha) S x, S the structure: self-guided training (Wei et al. 2024, arXiv 2406.16450).
/// - master: S holds the entries of W on its pattern; the gradient of S counts for all of W (straight through).
/// - observer: no values; the gradient that a dense matrix in the structure's place would have.
///
/// Values, gradients and moments lie here and go with the companion; `Parameters.count` does not know them.
package final class DenseCompanion: Sendable {
  package enum Role: String, Sendable { case guide, master, observer }

  package let role: Role
  /// One dense matrix for each linear; the name is the linear's.
  package let tensors: [ParameterTensor]
  package let gradients: Vector
  /// Empty for an observer, as are the moments.
  package let values: Vector
  package let first: Vector
  package let second: Vector
  private let places: [String: Place]
  /// alpha and 1 - alpha, each as often as the widest matrix has outputs.
  private let mix: (guide: Vector, structure: Vector)
  private let active = Mutex<Set<String>>([])

  private struct Place: Sendable {
    let range: Range<Int>
    let dense: BlockGrid
    /// diag(1): scales the outputs.
    let diagonal: CompressedRows
  }

  /// What a linear needs of it.
  struct Branch {
    let role: Role
    let dense: BlockGrid
    let diagonal: CompressedRows
    let values: Vector?
    let gradient: Vector
    let alpha: Vector
    let rest: Vector
  }

  /// - Parameter initial: the first values of a matrix, row-major [O, I]; not asked by an observer.
  package init(
    _ role: Role, of linears: [Linear], initial: (Linear) throws -> [Float], on device: any Device
  ) throws {
    self.role = role
    var tensors: [ParameterTensor] = []
    var places: [String: Place] = [:]
    var count = 0, widest = 0
    for linear in linears {
      let shape = linear.structure.shape
      let range = count..<count + shape.count
      count = range.upperBound
      widest = max(widest, shape.outputs)
      tensors.append(
        ParameterTensor(
          name: linear.name, shape: [shape.outputs, shape.inputs], range: range, learningRateScale: 1, decays: true))
      places[linear.name] = Place(
        range: range, dense: .dense(outputs: shape.outputs, inputs: shape.inputs),
        diagonal: role == .guide ? try DenseCompanion.diagonal(shape.outputs) : try DenseCompanion.diagonal(0))
    }
    self.tensors = tensors
    self.places = places
    gradients = try device.makeVector(count: count)
    let kept = role == .observer ? 0 : count
    values = try device.makeVector(count: kept)
    first = try device.makeVector(count: kept)
    second = try device.makeVector(count: kept)
    let mixed = role == .guide ? widest : 0
    mix = (try device.makeVector(count: mixed), try device.makeVector(count: mixed))
    if role != .observer {
      for (linear, tensor) in zip(linears, tensors) {
        try initial(linear).withUnsafeBufferPointer { try device.write($0, to: values[tensor.range]) }
      }
    }
    if role != .guide { activate(Set(linears.map(\.name))) }
  }

  private static func diagonal(_ count: Int) throws -> CompressedRows {
    try CompressedRows(
      rows: count, columns: count, rowStart: (0...count).map(Int32.init), column: (0..<count).map(Int32.init))
  }

  /// Which matrices take part from now on.
  package func activate(_ names: Set<String>) { active.withLock { $0 = names } }

  package func isActive(_ name: String) -> Bool { active.withLock { $0.contains(name) } }

  /// The guide's share from now on.
  package func setShare(_ alpha: Double, on device: any Device) throws {
    for (vector, share) in [(mix.guide, alpha), (mix.structure, 1 - alpha)] {
      try [Float](repeating: Float(share), count: vector.count)
        .withUnsafeBufferPointer { try device.write($0, to: vector) }
    }
  }

  func branch(of name: String) -> Branch? {
    guard let place = places[name], isActive(name) else { return nil }
    let outputs = 0..<(role == .guide ? place.diagonal.rows : 0)
    return Branch(
      role: role, dense: place.dense, diagonal: place.diagonal, values: role == .observer ? nil : values[place.range],
      gradient: gradients[place.range], alpha: mix.guide[outputs], rest: mix.structure[outputs])
  }

  package func range(of name: String) -> Range<Int>? { places[name]?.range }
}
