import Arrays
import FakeCUDA
import Testing

@testable import Devices
@testable import Structures

/// One member of the catalog at one precision.
struct CUDASubject: CustomTestStringConvertible, Sendable {
  let structure: any Structure
  let precision: CUDAPrecision

  var testDescription: String { "\(structure.label) \(structure.shape) d=\(structure.density) \(precision)" }

  /// Wide and tall, odd and even, blocks for every family and every tile of the tensor-core kernels.
  static let shapes = [
    Shape(outputs: 128, inputs: 256), Shape(outputs: 96, inputs: 64), Shape(outputs: 48, inputs: 80),
    Shape(outputs: 15, inputs: 21), Shape(outputs: 1, inputs: 7),
  ]

  static let all: [CUDASubject] = {
    var seen = Set<String>()
    var subjects: [CUDASubject] = []
    func add(_ member: any Structure) {
      guard seen.insert("\(member.label) \(member.shape) \(member.count)").inserted else { return }
      for precision in [CUDAPrecision.bf16, .fp32] + (member.shape == shapes[1] ? [.tf32] : []) {
        subjects.append(CUDASubject(structure: member, precision: precision))
      }
    }
    for type in Catalog.all {
      // The large shape is for the tiles of the tensor-core kernels alone.
      for shape in shapes where shape.inputs < 256 || ["bsr", "nm", "vnm"].contains(type.card.family) {
        for density in [1, 0.3] { type.members(of: shape, density: density, seed: 3).forEach(add) }
      }
    }
    let pinned = [
      ("bsr-128", 0.5), ("bsr-64", 0.5), ("bsr-32x64", 0.5), ("bsr-48x16", 0.5), ("bsr-16x1", 0.3), ("bsr-5x7", 0.7),
      ("monarch-3", 1), ("dyad-2", 1), ("circulant-4", 1), ("pixelfly-16", 0.6), ("lowrank+bsr-16", 0.6),
      ("bsr-32", 0.1), ("blr-3", 1), ("nm-1:4", 1), ("nm-1:4t", 1), ("vnm-16:2:8", 1), ("vnm-64:2:16", 1),
      ("vnm-128:2:4", 1), ("vnm-48:1:8", 1), ("vnm-5:2:7", 1), ("vnm-32:4:8", 1),
    ]
    for (label, density) in pinned {
      for shape in shapes {
        if let member = try? Catalog.member(label, of: shape, density: density, seed: 3) { add(member) }
      }
    }
    // Tiles of 256 rows, with rows beyond the last.
    for label in ["nm-2:4", "vnm-256:2:8"] {
      for outputs in [250, 256] {
        let shape = Shape(outputs: outputs, inputs: 24)
        if let member = try? Catalog.member(label, of: shape, density: 1, seed: 3) { add(member) }
      }
    }
    // Rows of blocks enough to share columns of x, and rows of blocks long enough to share dy.
    for (label, density) in [("bsr-128", 1), ("bsr-64", 0.6), ("bsr-32", 0.7), ("bsr-32x48", 0.7)] {
      for shape in [Shape(outputs: 512, inputs: 384), Shape(outputs: 384, inputs: 512)] {
        if let member = try? Catalog.member(label, of: shape, density: density, seed: 3) { add(member) }
      }
    }
    return subjects
  }()

  var values: [Float] {
    var generator = SeededGenerator(seed: 7, structure.label)
    return (0..<structure.count).map { _ in Float(generator.normal()) }
  }

  /// Sums of a product pass through at most this many fp32 roundings.
  var depth: Int { structure.shape.inputs + structure.shape.outputs + structure.savedFeatures + 4 }

  /// Bounds the error of a product by this factor times the absolute product: fp32 sums, each factor's weights rounded to
  /// elements, inner activations and the result stored as elements, each relative to what it rounds.
  var factor: Double {
    // A mask of blocks or weights: its weights and the result, or in tf32 its two factors. The rest: at most three products with
    // weights and results of their own, and a sum of two parts.
    let roundings = structure is any GridStructure || structure is any RowsStructure ? 2.0 : 8.0
    return (1 + RoundingBound.gamma(depth)) * exponential(roundings * log1p(precision.factorRoundoff)) - 1
  }

  private func log1p(_ x: Double) -> Double { x - x * x / 2 + x * x * x / 3 }
  private func exponential(_ x: Double) -> Double { 1 + x + x * x / 2 + x * x * x / 6 + x * x * x * x / 24 }
}

/// A structure's products on the fake GPU.
struct CUDAProducts {
  let subject: CUDASubject
  let device: CUDADevice

  init(_ subject: CUDASubject) throws {
    self.subject = subject
    device = try fakeDevice(subject.precision)
  }

  struct Result: Equatable {
    var y: [Float]
    var dx: [Float]
    var dvalues: [Float]
  }

  func run(x: [Float], dy: [Float], addingTo start: Result? = nil, repeats: Int = 1) throws -> Result {
    let structure = subject.structure, shape = structure.shape, tokens = x.count / shape.inputs
    let values = try device.makeVector(subject.values), dvalues = try device.makeVector(count: structure.count)
    let xs = try device.makeActivations(x, tokens: tokens, features: shape.inputs)
    let dys = try device.makeActivations(dy, tokens: tokens, features: shape.outputs)
    let y = try device.makeActivations(tokens: tokens, features: shape.outputs)
    let dx = try device.makeActivations(tokens: tokens, features: shape.inputs)
    if let start {
      try start.y.withUnsafeBufferPointer { try device.upload($0, to: y) }
      try start.dx.withUnsafeBufferPointer { try device.upload($0, to: dx) }
    }
    let saved =
      structure.savedFeatures == 0
      ? nil : try device.makeActivations(tokens: tokens, features: structure.savedFeatures)
    try structure.forward(xs, values: values, saved: saved, into: y, accumulate: start != nil, on: device)
    for _ in 0..<repeats {
      try structure.backward(
        dys, x: xs, values: values, saved: saved, dx: dx, accumulate: start != nil, dvalues: dvalues, on: device)
    }
    return Result(y: try device.rows(y), dx: try device.rows(dx), dvalues: try device.numbers(dvalues))
  }
}

/// The laws of products over the whole catalog, by the kernels that a GPU would run.
@Suite struct CatalogLaws {
  @Test(
    "1 definition: forward and input gradient are those of the materialized matrix, added to or not",
    arguments: CUDASubject.all)
  func definition(_ subject: CUDASubject) throws {
    fake_reset()
    let structure = subject.structure, shape = structure.shape, precision = subject.precision
    let matrix = structure.materialize(subject.values)
    let absolute = structure.absolute(subject.values)
    for tokens in [0, 17, 130] {
      let products = try CUDAProducts(subject)
      let x = normals(tokens * shape.inputs, seed: UInt64(tokens + 1), precision)
      let dy = normals(tokens * shape.outputs, seed: UInt64(tokens + 2), precision)
      let result = try products.run(x: x, dy: dy)
      let y = product(x.doubles, matrix, shape, transposed: false)
      let sizes = product(x.doubles.map(abs), absolute, shape, transposed: false)
      expectWithin(result.y, y, sizes.map { subject.factor * $0 }, "y at T=\(tokens)")
      let dx = product(dy.doubles, matrix, shape, transposed: true)
      let backSizes = product(dy.doubles.map(abs), absolute, shape, transposed: true)
      expectWithin(result.dx, dx, backSizes.map { subject.factor * $0 }, "dx at T=\(tokens)")
      // Added to itself: the start is exact, and so the second product's error and one rounding of the sum.
      let twice = try products.run(x: x, dy: dy, addingTo: result)
      let u = precision.unitRoundoff
      expectWithin(
        twice.y, zip(y, result.y).map { $0 + Double($1) },
        zip(sizes, result.y).map { subject.factor * $0 + u * ($0 + Double(abs($1))) }, "y added to at T=\(tokens)")
      expectWithin(
        twice.dx, zip(dx, result.dx).map { $0 + Double($1) },
        zip(backSizes, result.dx).map { subject.factor * $0 + u * ($0 + Double(abs($1))) }, "dx added to at T=\(tokens)"
      )
    }
    #expect(fake_live_allocations() == 0 && fake_live_objects() == 0 && fake_damaged_guards() == 0)
  }

  @Test(
    "3 gradient: W is affine in each tensor, so a step d changes <dy, y> by <dvalues, d>", arguments: CUDASubject.all)
  func gradient(_ subject: CUDASubject) throws {
    fake_reset()
    let structure = subject.structure, shape = structure.shape
    // Beyond some 512 tokens, the tensor-core gradient cuts its sum into shares.
    let isCut =
      ["bsr", "nm-2:4", "vnm"].contains { structure.label.hasPrefix($0) } && subject.precision == .bf16
      && shape.outputs < 128
    for tokens in isCut ? [49, 1100] : [49] {
      let x = normals(tokens * shape.inputs, seed: 21, subject.precision)
      let dy = normals(tokens * shape.outputs, seed: 22, subject.precision)
      let result = try CUDAProducts(subject).run(x: x, dy: dy)
      let dense = outer(dy.doubles, x.doubles, shape), sizes = outer(dy.doubles.map(abs), x.doubles.map(abs), shape)
      let matrix = structure.materialize(subject.values), absolute = structure.absolute(subject.values)
      for tensor in structure.layout {
        for round in 0..<3 {
          var moved = subject.values
          var generator = SeededGenerator(seed: UInt64(round), tensor.name)
          let chosen =
            round == 2
            ? Array(0..<tensor.count) : generator.sample(min(tensor.count, round == 0 ? 1 : 5), below: tensor.count)
          for index in chosen { moved[tensor.offset + index] += Float(generator.normal()) }
          let step = zip(moved, subject.values).map { Double($0) - Double($1) }
          let change = zip(structure.materialize(moved), matrix).map { $0 - $1 }
          let reach = zip(subject.values, step).map { Float(abs($0)) + Float(abs($1)) }
          let absoluteChange = zip(structure.absolute(reach), absolute).map { max(0, $0 - $1) }
          let factor = subject.factor + 2 * RoundingBound.gamma(tokens)
          let error = abs(dot(result.dvalues.doubles, step) - dot(dense, change))
          #expect(error <= factor * dot(sizes, absoluteChange) + 1e-9, "\(tensor.name), round \(round), T=\(tokens)")
        }
      }
    }
  }

  @Test(
    "4 accumulation: a second backward doubles dvalues and leaves dx; 9 a second run has the same bits",
    arguments: CUDASubject.all)
  func accumulation(_ subject: CUDASubject) throws {
    fake_reset()
    let shape = subject.structure.shape, tokens = 80
    let x = normals(tokens * shape.inputs, seed: 31, subject.precision)
    let dy = normals(tokens * shape.outputs, seed: 32, subject.precision)
    let products = try CUDAProducts(subject)
    let once = try products.run(x: x, dy: dy), twice = try products.run(x: x, dy: dy, repeats: 2)
    #expect(once.dx == twice.dx)
    // The same sum is added to itself: exactly twice.
    #expect(twice.dvalues == once.dvalues.map { 2 * $0 })
    #expect(try CUDAProducts(subject).run(x: x, dy: dy) == once)
  }

  @Test(
    "7 cost: flops are those that the primitives counted", arguments: CUDASubject.all.filter { $0.precision == .bf16 })
  func cost(_ subject: CUDASubject) throws {
    fake_reset()
    let structure = subject.structure, shape = structure.shape, tokens = 16
    let products = try CUDAProducts(subject)
    let before = products.device.flops
    _ = try products.run(
      x: normals(tokens * shape.inputs, seed: 71, .bf16), dy: normals(tokens * shape.outputs, seed: 72, .bf16))
    let cost = structure.cost(tokens: tokens)
    #expect(products.device.flops - before == cost.flops + cost.backwardFlops)
  }

  /// y [T, O] = x W' or dx [T, I] = dy W, in Double.
  private func product(_ x: [Double], _ matrix: [Double], _ shape: Shape, transposed: Bool) -> [Double] {
    let (rows, columns) = transposed ? (shape.inputs, shape.outputs) : (shape.outputs, shape.inputs)
    let tokens = x.count / columns
    var y = [Double](repeating: 0, count: tokens * rows)
    for t in 0..<tokens {
      for r in 0..<rows {
        var sum = 0.0
        for c in 0..<columns {
          sum += (transposed ? matrix[c * rows + r] : matrix[r * columns + c]) * x[t * columns + c]
        }
        y[t * rows + r] = sum
      }
    }
    return y
  }

  private func outer(_ dy: [Double], _ x: [Double], _ shape: Shape) -> [Double] {
    var result = [Double](repeating: 0, count: shape.count)
    for t in 0..<x.count / shape.inputs {
      for o in 0..<shape.outputs {
        let d = dy[t * shape.outputs + o]
        for i in 0..<shape.inputs { result[o * shape.inputs + i] += d * x[t * shape.inputs + i] }
      }
    }
    return result
  }
}
