import Arrays
import Devices
import Testing

@testable import Structures

/// Laws of the members themselves: initialisation, projection, cost, round trip, refusals, labels.
@Suite struct MemberLaws {
  /// One instruction set is enough where the law is not about the products.
  static let subjects = Subject.all.filter { $0.isa == CPUDevice.available[0] }

  @Test("5 projection: a matrix of the structure is given back", arguments: subjects)
  func projection(_ subject: Subject) throws {
    let structure = subject.structure
    let matrix = structure.materialize(subject.values)
    let values = structure.project(matrix)
    #expect(values.count == structure.count)
    guard subject.projectsExactly else { return }
    // Rounding the factors to fp32 moves an entry by at most gamma_2 of the absolute product; the decomposition is in
    // Double and stops at relative 1e-15 a rotation.
    let bound = structure.absolute(values)
    let scale = 1e-10 * (dot(matrix, matrix).squareRoot() + 1)
    for (got, (expected, absolute)) in zip(structure.materialize(values), zip(matrix, bound)) {
      #expect(abs(got - expected) <= RoundingBound.gamma(2) * absolute + scale)
    }
  }

  @Test("5 projection: no random member of the pattern is nearer to a random matrix", arguments: subjects)
  func projectionIsBest(_ subject: Subject) throws {
    let structure = subject.structure
    let dense = normals(structure.shape.count, seed: 61).doubles
    let values = structure.project(dense)
    func distance(_ values: [Float]) -> Double {
      zip(structure.materialize(values), dense).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    let best = distance(values)
    var generator = SeededGenerator(seed: 62)
    for scale in [1.0, 0.1, 1e-2] {
      let near = values.map { $0 + Float(scale * generator.normal()) }
      #expect(best <= distance(near))
    }
    #expect(best <= distance([Float](repeating: 0, count: structure.count)) + 1e-9)
    // What is reported is what was lost.
    let lost = structure.residual(of: values, to: dense)
    #expect(abs(lost * lost * dot(dense, dense) - best) <= 1e-9 * (best + 1))
  }

  @Test(
    "5 projection: alternating least squares ends where no multiple and no other start of its own is better",
    arguments: subjects.filter { !$0.projectsExactly })
  func projectionIsStationary(_ subject: Subject) throws {
    let structure = subject.structure
    let dense = normals(structure.shape.count, seed: 64).doubles
    let values = structure.project(dense)
    let matrix = structure.materialize(values)
    // Scaling a factor by 1 + t takes <left, part>^2 / <part, part> off the squared residual at best. Rounds gain less and
    // less, and the last one less than a hundredth of it: |<left, part>| <= 0.1 |left| |part|.
    let left = zip(dense, matrix).map { $0 - $1 }
    #expect(abs(dot(left, matrix)) <= 0.1 * (dot(left, left) * dot(dense, dense)).squareRoot())
    // Projected again, its own matrix is met nearly: the residual is a small part of what the first one lost.
    #expect(structure.residual(of: structure.project(matrix), to: matrix) <= structure.residual(of: values, to: dense))
  }

  @Test("5 projection: the pattern chosen by scores keeps at least as much as the random one", arguments: subjects)
  func repatterning(_ subject: Subject) throws {
    let structure = subject.structure
    let dense = normals(structure.shape.count, seed: 63).doubles
    let chosen = structure.repatterned(for: dense.map { $0 * $0 })
    #expect(chosen.count == structure.count && chosen.label == structure.label)
    func kept(_ structure: any Structure) -> Double {
      let matrix = structure.materialize(structure.project(dense))
      return dot(matrix, matrix)
    }
    #expect(kept(chosen) >= kept(structure) * (1 - 1e-12))
  }

  @Test("6 initialisation: the variance of y is that of x times gain^2", arguments: subjects)
  func initialisation(_ subject: Subject) throws {
    let structure = subject.structure, shape = structure.shape
    // Rows without weights put out zeros: then there is no variance to keep, and the laws of CSR say so.
    guard structure.liveOutputs.allSatisfy({ $0 }) else { return }
    let gain = 0.7, draws = 24
    let squares = (0..<draws).map { draw in
      var generator = SeededGenerator(seed: UInt64(draw), structure.label)
      let matrix = structure.materialize(structure.initialValues(gain: gain, using: &generator))
      // E |W x|^2 over x of unit variance is the squared Frobenius norm: no need to draw x.
      return dot(matrix, matrix) / Double(shape.outputs)
    }
    let mean = squares.reduce(0, +) / Double(draws)
    let variance = squares.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(draws - 1)
    #expect(abs(mean - gain * gain) <= 4 * (variance / Double(draws)).squareRoot())
  }

  @Test("6 initialisation: published ones keep the variance too, or begin with a product of zero", arguments: subjects)
  func publishedInitialisation(_ subject: Subject) throws {
    let structure = subject.structure, gain = 0.7
    guard structure.liveOutputs.allSatisfy({ $0 }) else { return }
    for initialization in Initialization.allCases where initialization != .variance {
      func draw(_ seed: Int) -> Double? {
        var generator = SeededGenerator(seed: UInt64(seed), structure.label)
        return structure.initialValues(initialization, gain: gain, using: &generator).map { values in
          #expect(values.count == structure.count)
          let matrix = structure.materialize(values)
          return dot(matrix, matrix) / Double(structure.shape.outputs)
        }
      }
      #expect((draw(0) != nil) == structure.initializations.contains(initialization))
      guard structure.initializations.contains(initialization) else { continue }
      let squares = (0..<12).compactMap(draw), mean = squares.reduce(0, +) / 12
      if initialization == .zeroLast, structure is any FactorisedStructure {
        #expect(mean == 0)
      } else {
        // Rounded to single precision, beside what chance does.
        let variance = squares.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 11
        #expect(abs(mean - gain * gain) <= 5 * (variance / 12).squareRoot() + 1e-5, "\(initialization)")
      }
    }
  }

  @Test("7 cost: flops are those that the primitives counted, bytes those that are stored", arguments: subjects)
  func cost(_ subject: Subject) throws {
    let structure = subject.structure, shape = structure.shape, tokens = 48
    let products = try Products(subject)
    let before = products.device.flops
    _ = try products.run(
      x: normals(tokens * shape.inputs, seed: 71), dy: normals(tokens * shape.outputs, seed: 72))
    let cost = structure.cost(tokens: tokens)
    #expect(products.device.flops - before == cost.flops + cost.backwardFlops)
    #expect(cost.valueBytes == subject.values.count * 4)
    #expect(cost.indexBytes == structure.pattern.arrays.values.reduce(0) { $0 + $1.count } * 4)
    #expect(cost.savedBytes == 4 * tokens * structure.savedFeatures)
  }

  @Test("8 round trip: label, shape and pattern make the same member again", arguments: subjects)
  func roundTrip(_ subject: Subject) throws {
    let structure = subject.structure
    let again = try Catalog.member(structure.label, of: structure.shape, pattern: structure.pattern)
    #expect(again.label == structure.label && again.layout == structure.layout)
    let x = normals(17 * structure.shape.inputs, seed: 81), dy = normals(17 * structure.shape.outputs, seed: 82)
    let twin = Subject(structure: again, values: subject.values, isa: subject.isa)
    #expect(try Products(twin).run(x: x, dy: dy) == Products(subject).run(x: x, dy: dy))
  }

  @Test("8 round trip: a damaged pattern is refused", arguments: subjects)
  func damagedPattern(_ subject: Subject) throws {
    let structure = subject.structure
    for (name, array) in structure.pattern.arrays where !array.isEmpty {
      for damage in 0..<4 {
        var pattern = structure.pattern
        switch damage {
        case 0: pattern.arrays[name] = nil
        case 1: pattern.arrays[name] = array.dropLast()
        case 2: pattern.arrays[name]![array.count / 2] = -1
        default: pattern.arrays[name]![array.count - 1] = .max
        }
        #expect(throws: Refusal.self, "\(name), damage \(damage)") {
          _ = try Catalog.member(structure.label, of: structure.shape, pattern: pattern)
        }
      }
    }
  }

  @Test("10 edges: density is never above what was asked for", arguments: Catalog.all.map { $0.card.family })
  func densityBound(_ family: String) throws {
    let type = try Catalog.family(of: family).type
    for shape in Subject.shapes {
      for density in [1e-9, 0.01, 0.1, 0.33, 0.5, 0.999, 1] {
        for member in type.members(of: shape, density: density, seed: 1) {
          #expect(member.density <= density && member.count > 0)
          let tensors = member.layout
          #expect(tensors.map(\.offset) == tensors.indices.map { tensors[..<$0].reduce(0) { $0 + $1.count } })
        }
      }
    }
  }

  @Test(
    "10 edges: what cannot be represented is refused with a sentence",
    arguments: [
      ("bsr-32", 0.1, "leaves no block"), ("bsr-5x7", 1e-3, "leaves no block"), ("bsr-0", 0.5, "not a label"),
      ("bsr-16x16x16", 0.5, "bsr-B"), ("bsr-x16", 0.5, "not a label"), ("bsr", 1e-6, "no member"),
      ("dyad-1", 1, "store every weight twice"), ("nm-3:2", 1, "at most M"), ("blr-16", 1, "at most 15"),
      ("narrow", 0.01, "no hidden unit"), ("masked-2", 1, "no parameters"), ("pixelfly-16", 0.1, "block diagonal"),
      ("lowrank+bsr-4", 0.05, "leaves no block"), ("lowrank+csr", 0.01, "no member"), ("circulant-0", 1, "not a label"),
      ("lowrank-16", 1, "at most 15"),
      ("lowrank-", 1, "no structure"), ("csr", 1e-9, "no member"), ("csr-3", 0.5, "no parameters"),
      ("dense-3", 0.5, "no parameters"), ("csr", 0, "not above 0"), ("csr", 1.5, "not above 0"),
      ("csr", .nan, "not above 0"), ("sparse", 0.5, "families are dense, narrow"),
    ])
  func refusals(_ label: String, _ density: Double, _ words: String) throws {
    let refusal = #expect(throws: Refusal.self) {
      _ = try Catalog.member(label, of: Shape(outputs: 15, inputs: 21), density: density, seed: 1)
    }
    #expect(refusal?.sentence.contains(words) == true, "\(refusal?.sentence ?? "")")
  }

  @Test("12 labels are unique and name their member again; cards are complete")
  func labels() throws {
    for type in Catalog.all {
      let card = type.card
      for text in [card.family, card.grammar, card.summary, card.formula, card.stored, card.densities, card.source] {
        #expect(!text.isEmpty)
      }
    }
    #expect(Set(Catalog.all.map { $0.card.family }).count == Catalog.all.count)
    for member in Subject.members {
      #expect(member.label.hasPrefix(member.card.family))
      let same = try Catalog.member(member.label, of: member.shape, density: min(1, member.density), seed: 3)
      #expect(same.label == member.label)
      // A label that leaves the density open names a family of members; the others name one.
      if !member.card.densityIsFree { #expect(same.count == member.count) }
    }
  }

  @Test("Globs choose the members nearest to each density, whole labels pin one")
  func selection() throws {
    let shape = Shape(outputs: 256, inputs: 128)
    func labels(_ patterns: [String], _ densities: [Double]) throws -> [String] {
      try Catalog.select(patterns, of: shape, densities: densities, seed: 1).map { $0.member.label }
    }
    #expect(try labels(["bsr-*"], [0.5]) == ["bsr-16", "bsr-32", "bsr-64", "bsr-128"])
    #expect(try labels(["lowrank-*"], [0.5, 0.1]) == ["lowrank-42", "lowrank-8"])
    #expect(try labels(["lowrank-7"], [0.5, 0.1]) == ["lowrank-7"])
    #expect(try labels(["csr", "bsr-32"], [0.5, 0.25]) == ["csr", "csr", "bsr-32", "bsr-32"])
    #expect(try labels(["*"], [0.25]).first == "dense")
    #expect(throws: Refusal.self) { try labels(["nothing-*"], [0.5]) }
  }
}
