import Arrays
import Devices
import Testing

@testable import Structures

/// Laws of the three products, for every member of the catalog on every instruction set of this machine.
@Suite struct ProductLaws {
  static let tokens = [0, 1, 2, 3, 4, 7, 15, 16, 17, 100]

  @Test(
    "1 definition: forward(x) is x times the materialized matrix, within the rounding bound", arguments: Subject.all)
  func definition(_ subject: Subject) throws {
    let shape = subject.structure.shape
    let definition = Definition(subject), products = try Products(subject)
    var generator = SeededGenerator(seed: 12, subject.testDescription)
    for tokens in Self.tokens + [18 + generator.index(below: 120)] {
      let x = normals(tokens * shape.inputs, seed: UInt64(tokens + 1))
      let dy = normals(tokens * shape.outputs, seed: UInt64(tokens + 2))
      let result = try products.run(x: x, dy: dy)
      try definition.expect(result, of: products, x: x, dy: dy)
    }
  }

  @Test("2 adjoint: <dy, forward(x)> = <dx, x> for random dy", arguments: Subject.all)
  func adjoint(_ subject: Subject) throws {
    let shape = subject.structure.shape, tokens = 33
    let x = normals(tokens * shape.inputs, seed: 11), dy = normals(tokens * shape.outputs, seed: 12)
    let result = try Products(subject).run(x: x, dy: dy)
    let absolute = product(x.doubles.map(abs), subject.absolute, rows: shape.outputs, columns: shape.inputs)
    let bound = 2 * RoundingBound.gamma(subject.depth) * dot(dy.doubles.map(abs), absolute)
    let difference = dot(dy.doubles, result.y.doubles) - dot(result.dx.doubles, x.doubles)
    #expect(abs(difference) <= bound)
  }

  @Test("3 gradient: W is affine in each tensor, so a step d changes <dy, y> by <dvalues, d>", arguments: Subject.all)
  func gradient(_ subject: Subject) throws {
    // Few; beyond one panel's edge, in the middle, and beyond the tokens that one sum takes, 128 or 256.
    for tokens in [1, 2, 3, 4, 8, 17, 49, 300] { try gradient(subject, tokens: tokens) }
  }

  private func gradient(_ subject: Subject, tokens: Int) throws {
    let structure = subject.structure, shape = structure.shape
    let x = normals(tokens * shape.inputs, seed: 21), dy = normals(tokens * shape.outputs, seed: 22)
    let result = try Products(subject).run(x: x, dy: dy)
    // The dense gradient dy' x and its absolute twin.
    let dense = outer(dy.doubles, x.doubles, shape),
      denseAbsolute = outer(dy.doubles.map(abs), x.doubles.map(abs), shape)
    for tensor in structure.layout {
      for round in 0..<3 {
        var moved = subject.values
        var generator = SeededGenerator(seed: UInt64(round), tensor.name)
        // One value, a few, all of them: a single wrong entry must not hide in a long sum.
        let chosen =
          round == 2
          ? Array(0..<tensor.count) : generator.sample(min(tensor.count, round == 0 ? 1 : 5), below: tensor.count)
        for index in chosen { moved[tensor.offset + index] += Float(generator.normal()) }
        // v + d was rounded, so d is what the rounded sum says.
        let step = zip(moved, subject.values).map { Double($0) - Double($1) }
        let change = zip(structure.materialize(moved), structure.materialize(subject.values)).map { $0 - $1 }
        let expected = dot(dense, change)
        let sizes = zip(subject.values, step).map { Float(abs($0)) + Float(abs($1)) }
        let absoluteChange = zip(structure.absolute(sizes), subject.absolute).map { max(0, $0 - $1) }
        let bound = RoundingBound.gamma(subject.depth + tokens) * dot(denseAbsolute, absoluteChange) + 1e-9
        #expect(
          abs(dot(result.dvalues.doubles, step) - expected) <= bound, "\(tensor.name), round \(round), T=\(tokens)")
      }
    }
  }

  @Test("4 accumulation: a second backward doubles dvalues and leaves dx", arguments: Subject.all)
  func accumulation(_ subject: Subject) throws {
    let shape = subject.structure.shape, tokens = 300
    let x = normals(tokens * shape.inputs, seed: 31), dy = normals(tokens * shape.outputs, seed: 32)
    let products = try Products(subject)
    let once = try products.run(x: x, dy: dy), twice = try products.run(x: x, dy: dy, repeats: 2)
    #expect(once.dx == twice.dx)
    // Sums of 2T terms in another order: both err by at most gamma_2T of the absolute sum, which is that of a unit step's
    // change of the bounds with |dy' x|; values at both ends and some between.
    let sizes = outer(dy.doubles.map(abs), x.doubles.map(abs), shape), start = subject.absolute
    var generator = SeededGenerator(seed: 33)
    let chosen = Set(
      generator.sample(min(12, once.dvalues.count), below: once.dvalues.count) + [0, once.dvalues.count - 1])
    for index in chosen {
      var stepped = subject.values.map(abs)
      stepped[index] += 1
      let absolute = zip(zip(subject.structure.absolute(stepped), start), sizes).reduce(0) {
        $0 + ($1.0.0 - $1.0.1) * $1.1
      }
      let bound = 4 * RoundingBound.gamma(2 * tokens + subject.depth) * absolute
      #expect(abs(Double(twice.dvalues[index]) - 2 * Double(once.dvalues[index])) <= bound)
    }
  }

  @Test("9 determinism: 1, 2 and 7 threads give the same bits, and so does a second run", arguments: Subject.all)
  func determinism(_ subject: Subject) throws {
    let shape = subject.structure.shape
    for tokens in [1, 3, 8, 300] {
      let x = normals(tokens * shape.inputs, seed: 41), dy = normals(tokens * shape.outputs, seed: 42)
      let one = try Products(subject, threads: 1).run(x: x, dy: dy)
      for threads in [1, 2, 7] {
        #expect(try Products(subject, threads: threads).run(x: x, dy: dy) == one, "T=\(tokens), \(threads) threads")
      }
    }
  }

  @Test("11 guards: nothing outside the outputs is written", arguments: Subject.all)
  func guards(_ subject: Subject) throws {
    for tokens in [1, 3, 8, 40, 70] { try guards(subject, tokens: tokens) }
  }

  private func guards(_ subject: Subject, tokens: Int) throws {
    let structure = subject.structure, shape = structure.shape, padded = (tokens + 15) / 16 * 16
    let device = try subject.device()
    let x = try device.makeActivations(
      normals(tokens * shape.inputs, seed: 51), tokens: tokens, features: shape.inputs)
    let dy = try device.makeActivations(
      normals(tokens * shape.outputs, seed: 52), tokens: tokens, features: shape.outputs)
    let values = try device.makeVector(subject.values)
    let y = Guarded(floats: padded * shape.outputs), dx = Guarded(floats: padded * shape.inputs)
    let saved = Guarded(floats: padded * structure.savedFeatures), dvalues = Guarded(floats: structure.count)
    let inner =
      structure.savedFeatures == 0
      ? nil : Activations(buffer: saved.buffer, tokens: tokens, features: structure.savedFeatures)
    try structure.forward(
      x, values: values, saved: inner, into: Activations(buffer: y.buffer, tokens: tokens, features: shape.outputs),
      accumulate: false, on: device)
    try structure.backward(
      dy, x: x, values: values, saved: inner,
      dx: Activations(buffer: dx.buffer, tokens: tokens, features: shape.inputs), accumulate: false,
      dvalues: Vector(buffer: dvalues.buffer, offset: 0, count: structure.count), on: device)
    for (name, zone) in [("y", y), ("dx", dx), ("saved", saved), ("dvalues", dvalues)] {
      #expect(zone.intact, "\(name)")
    }
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

/// Every |got - expected| is at most gamma_depth times the absolute sum.
func expectClose(
  _ got: [Float], _ expected: [Double], _ absolute: [Double], _ depth: Int, _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(got.count == expected.count, "\(what)", sourceLocation: sourceLocation)
  let gamma = RoundingBound.gamma(depth)
  let worst = zip(zip(got, expected), absolute).map { abs(Double($0.0) - $0.1) - gamma * $1 }.max() ?? 0
  #expect(worst <= 0, "\(what): beyond the bound by \(worst)", sourceLocation: sourceLocation)
}

/// Zeroed memory for an output between two zones of one bit pattern (a NaN no sum produces).
final class Guarded {
  private static let zone = 1024
  private static let mark: UInt32 = 0x7fc0_dead
  private let words: UnsafeMutablePointer<UInt32>
  private let floats: Int
  let buffer: Buffer

  init(floats: Int) {
    self.floats = floats
    let total = floats + 2 * Guarded.zone
    let raw = UnsafeMutableRawPointer.allocate(byteCount: total * 4, alignment: 64)
    words = raw.bindMemory(to: UInt32.self, capacity: total)
    for i in 0..<total { words[i] = i < Guarded.zone || i >= Guarded.zone + floats ? Guarded.mark : 0 }
    buffer = Buffer(address: raw + Guarded.zone * 4, byteCount: floats * 4) { ($0 - Guarded.zone * 4).deallocate() }
  }

  var intact: Bool {
    (0..<Guarded.zone).allSatisfy { words[$0] == Guarded.mark && words[Guarded.zone + floats + $0] == Guarded.mark }
  }
}
