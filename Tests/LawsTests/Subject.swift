import Arrays
import Devices
import Testing

@testable import Structures

/// One member of one family with values, in a form that prints its label when a law fails.
struct Subject: CustomTestStringConvertible, Sendable {
  let structure: any Structure
  let values: [Float]
  let isa: String

  var testDescription: String { "\(structure.label) \(structure.shape) d=\(structure.density) \(isa)" }

  /// Sums of a forward or backward product pass through at most this many rounded operations: the products of every
  /// factor, one rounding for each term, and the accumulation.
  var depth: Int { structure.shape.inputs + structure.shape.outputs + structure.savedFeatures + 4 }

  /// Bounds of all partial sums of the entries of W.
  var absolute: [Double] { structure.absolute(values) }

  var projectsExactly: Bool { type(of: structure).projectsExactly }

  /// Odd, small and large, wide and tall, so that tiles have remainders and blocks exist for most families.
  static let shapes = [
    Shape(outputs: 96, inputs: 64), Shape(outputs: 64, inputs: 96), Shape(outputs: 15, inputs: 21),
    Shape(outputs: 272, inputs: 48), Shape(outputs: 48, inputs: 272), Shape(outputs: 1, inputs: 7),
  ]
  static let densities = [1, 0.5, 0.25, 0.1]

  /// Every member of every family, at each shape and density, once for each instruction set of this machine.
  static let all: [Subject] = CPUDevice.available.flatMap { isa in
    members.map { Subject(structure: $0, values: Subject.values(of: $0, seed: 7), isa: isa) }
  }

  static let members: [any Structure] = {
    var seen = Set<String>()
    var members: [any Structure] = []
    for type in Catalog.all {
      for shape in shapes {
        for density in densities {
          for member in type.members(of: shape, density: density, seed: 3)
          where seen.insert("\(member.label) \(shape) \(member.count)").inserted {
            members.append(member)
          }
        }
      }
    }
    // Rectangular blocks, pinned parameters that no density picks, and sides that blocks do not divide.
    let pinned = [
      ("bsr-16x1", 0.3), ("bsr-1x16", 0.3), ("bsr-5x7", 0.7), ("bsr-32", 0.1), ("lowrank-3", 1), ("monarch-3", 1),
      ("monarch-5", 1), ("blockdiagonal-4", 1), ("dyad-5", 1), ("nm-2:5", 1), ("nm-2:4t", 1), ("vnm-16:2:8", 1),
      ("blockdense-4", 0.5), ("circulant-5", 1), ("circulant-4", 1), ("pixelfly-16", 0.6), ("lowrank+bsr-16", 0.6),
      ("blr-3", 1), ("btt-1", 1),
    ]
    // And drawn ones, for what nobody thought of.
    var generator = SeededGenerator(seed: 11, "drawn subjects")
    for type in Catalog.all {
      for _ in 0..<2 {
        let shape = Shape(outputs: 1 + generator.index(below: 150), inputs: 1 + generator.index(below: 150))
        let density = Double(5 + generator.index(below: 96)) / 100
        let fitting = type.members(of: shape, density: density, seed: 3)
        guard !fitting.isEmpty else { continue }
        let member = fitting[generator.index(below: fitting.count)]
        if seen.insert("\(member.label) \(shape) \(member.count)").inserted { members.append(member) }
      }
    }
    // Rows long enough for packed copies in the weight gradient, in several tasks, with a remainder of columns.
    for label in ["dense", "bsr-32"] {
      let shape = Shape(outputs: 200, inputs: 265)
      if let member = try? Catalog.member(label, of: shape, density: 1, seed: 3) { members.append(member) }
    }
    for (label, density) in pinned {
      for shape in shapes {
        guard let member = try? Catalog.member(label, of: shape, density: density, seed: 3) else { continue }
        if seen.insert("\(member.label) \(shape) \(member.count)").inserted { members.append(member) }
      }
    }
    return members
  }()

  static func values(of structure: any Structure, seed: UInt64) -> [Float] {
    var generator = SeededGenerator(seed: seed, structure.label)
    return (0..<structure.count).map { _ in Float(generator.normal()) }
  }

  func device(threads: Int = 2) throws -> CPUDevice { try CPUDevice(threads: threads, isa: isa) }
}

/// Numbers drawn for a test.
func normals(_ count: Int, seed: UInt64) -> [Float] {
  var generator = SeededGenerator(seed: seed)
  return (0..<count).map { _ in Float(generator.normal()) }
}

/// y [T, rows] = x [T, columns] matrix', in Double: the oracle's only product.
func product(_ x: [Double], _ matrix: [Double], rows: Int, columns: Int) -> [Double] {
  let tokens = columns == 0 ? 0 : x.count / columns
  var y = [Double](repeating: 0, count: tokens * rows)
  for t in 0..<tokens {
    for r in 0..<rows {
      var sum = 0.0
      for c in 0..<columns { sum += matrix[r * columns + c] * x[t * columns + c] }
      y[t * rows + r] = sum
    }
  }
  return y
}

func transposed(_ matrix: [Double], rows: Int, columns: Int) -> [Double] {
  var result = matrix
  for r in 0..<rows { for c in 0..<columns { result[c * rows + r] = matrix[r * columns + c] } }
  return result
}

func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

extension [Float] {
  var doubles: [Double] { map(Double.init) }
}

/// A structure's products on row-major arrays.
struct Products {
  let subject: Subject
  let device: CPUDevice
  var structure: any Structure { subject.structure }
  var shape: Shape { structure.shape }

  init(_ subject: Subject, threads: Int = 2) throws {
    self.subject = subject
    device = try subject.device(threads: threads)
  }

  struct Result: Equatable {
    var y: [Float]
    var dx: [Float]
    var dvalues: [Float]
  }

  /// Forward and backward, the backward `repeats` times into the same gradients.
  /// With `addingTo`, y and dx start there and are added to.
  func run(
    x: [Float], dy: [Float], values: [Float]? = nil, repeats: Int = 1, addingTo start: Result? = nil
  ) throws -> Result {
    let tokens = x.count / shape.inputs
    let structure = structure, device = device
    let v = try device.makeVector(values ?? subject.values)
    let dvalues = try device.makeVector(count: structure.count)
    let xs = try device.makeActivations(x, tokens: tokens, features: shape.inputs)
    let dys = try device.makeActivations(dy, tokens: tokens, features: shape.outputs)
    let y =
      try start.map { try device.makeActivations($0.y, tokens: tokens, features: shape.outputs) }
      ?? device.makeActivations(tokens: tokens, features: shape.outputs)
    let dx =
      try start.map { try device.makeActivations($0.dx, tokens: tokens, features: shape.inputs) }
      ?? device.makeActivations(tokens: tokens, features: shape.inputs)
    let saved =
      structure.savedFeatures == 0
      ? nil : try device.makeActivations(tokens: tokens, features: structure.savedFeatures)
    try structure.forward(xs, values: v, saved: saved, into: y, accumulate: start != nil, on: device)
    for _ in 0..<repeats {
      try structure.backward(
        dys, x: xs, values: v, saved: saved, dx: dx, accumulate: start != nil, dvalues: dvalues, on: device)
    }
    return Result(y: try device.rows(y), dx: try device.rows(dx), dvalues: try device.numbers(dvalues))
  }
}

/// The matrix that a subject's values stand for, which is what its products are held to.
struct Definition {
  let subject: Subject
  private let matrix: [Double]
  private let absolute: [Double]
  private let back: [Double]
  private let backAbsolute: [Double]

  init(_ subject: Subject) {
    let shape = subject.structure.shape
    self.subject = subject
    matrix = subject.structure.materialize(subject.values)
    absolute = subject.absolute
    back = transposed(matrix, rows: shape.outputs, columns: shape.inputs)
    backAbsolute = transposed(absolute, rows: shape.outputs, columns: shape.inputs)
  }

  /// y = x W' and dx = dy W within the rounding bound, and so when the products add to them.
  func expect(_ result: Products.Result, of products: Products, x: [Float], dy: [Float]) throws {
    let shape = subject.structure.shape, tokens = x.count / shape.inputs
    let y = product(x.doubles, matrix, rows: shape.outputs, columns: shape.inputs)
    let bound = product(x.doubles.map(abs), absolute, rows: shape.outputs, columns: shape.inputs)
    expectClose(result.y, y, bound, subject.depth, "y at T=\(tokens)")
    let dx = product(dy.doubles, back, rows: shape.inputs, columns: shape.outputs)
    let dxBound = product(dy.doubles.map(abs), backAbsolute, rows: shape.inputs, columns: shape.outputs)
    expectClose(result.dx, dx, dxBound, subject.depth, "dx at T=\(tokens)")
    // Added to itself, everything doubles: the second product errs as the first one may, and the sum rounds once.
    let twice = try products.run(x: x, dy: dy, addingTo: result)
    expectClose(twice.y, y.map { 2 * $0 }, bound.map { 2 * $0 }, subject.depth, "y added to at T=\(tokens)")
    expectClose(twice.dx, dx.map { 2 * $0 }, dxBound.map { 2 * $0 }, subject.depth, "dx added to at T=\(tokens)")
  }

  /// dvalues = the entries of dy' x where the values stand, within the rounding bound; each value stands at one place.
  func expectGradient(_ dvalues: [Float], x: [Float], dy: [Float]) throws {
    let shape = subject.structure.shape, tokens = x.count / shape.inputs
    var gradient = [Double](repeating: 0, count: subject.structure.count), size = gradient
    for (index, place) in try places() {
      for t in 0..<tokens {
        let term =
          Double(dy[t * shape.outputs + place / shape.inputs]) * Double(x[t * shape.inputs + place % shape.inputs])
        gradient[index] += term
        size[index] += abs(term)
      }
    }
    expectClose(dvalues, gradient, size, tokens + 1, "dvalues at T=\(tokens)")
  }

  /// Where the definition puts each value: (index of the value, place in the matrix); values that only pad have none.
  private func places() throws -> [(value: Int, place: Int)] {
    let structure = subject.structure
    // Every whole number up to 2^24 is a float.
    try #require(structure.count < 1 << 24)
    let marked = structure.materialize((0..<structure.count).map { Float($0 + 1) })
    let found = marked.indices.filter { marked[$0] != 0 }.map { (value: Int(marked[$0]) - 1, place: $0) }
    try #require(Set(found.map(\.value)).count == found.count)
    if structure.padding == 0 { #expect(found.count == structure.count) }
    return found
  }
}
