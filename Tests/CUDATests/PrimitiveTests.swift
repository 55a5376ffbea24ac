import Arrays
import FakeCUDA
import Foundation
import Testing

@testable import Devices

/// The model's other primitives against their definitions in Double.
@Suite struct PrimitiveTests {
  static let precisions: [CUDAPrecision] = [.bf16, .fp32]

  /// |got - expected| within `roundings` fp32 roundings of `size`, and one to an element of the result.
  private func expectNear(
    _ got: [Float], _ expected: [Double], _ size: [Double], roundings: Int, _ precision: CUDAPrecision, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let gamma = RoundingBound.gamma(roundings)
    expectWithin(
      got, expected, zip(expected, size).map { (gamma * $1 + precision.element * (abs($0) + gamma * $1)) + 1e-30 },
      what,
      sourceLocation: sourceLocation)
  }

  @Test(
    "Rows go in and come back as the elements hold them, with lanes of zeros beyond the last", arguments: precisions)
  func layout(_ precision: CUDAPrecision) throws {
    fake_reset()
    for (tokens, features) in [(0, 5), (1, 1), (17, 33), (64, 32), (100, 65)] {
      let device = try fakeDevice(precision)
      let rows = (0..<tokens * features).map { Float($0) * 1.001 }
      let a = try device.makeActivations(rows, tokens: tokens, features: features)
      #expect(try device.rows(a) == rows.map(precision.rounded))
      try device.withScratch(tokens: tokens, features: features) { scratch in
        try device.copy(a, to: scratch)
        try device.add(a, scale: -1, to: scratch)
        #expect(try device.rows(scratch).allSatisfy { $0 == 0 })
      }
    }
    #expect(fake_live_allocations() == 0 && fake_damaged_guards() == 0)
  }

  @Test(
    "Scratch memory has zeros in its padding: a sum over a matrix's lanes sees its tokens only", arguments: precisions)
  func padding(_ precision: CUDAPrecision) throws {
    fake_reset()
    let device = try fakeDevice(precision), tokens = 20, features = 3
    let x = normals(tokens * features, seed: 1, precision), weight = try device.makeVector([1, 1, 1])
    try device.withScratch(tokens: tokens, features: features) { scratch in
      try x.withUnsafeBufferPointer { try device.upload($0, to: scratch) }
      let ones = try device.makeActivations(
        [Float](repeating: 1, count: tokens * features), tokens: tokens, features: features)
      let y = try device.makeActivations(tokens: tokens, features: features)
      let inverse = try device.makeActivations(tokens: tokens, features: 1)
      try device.rmsNorm(scratch, weight: weight, epsilon: 1e-6, into: y, inverse: inverse)
      let dweight = try device.makeVector(count: features)
      try device.rmsNormGradient(
        scratch, weight: weight, inverse: inverse, dy: ones, into: y, accumulate: false, dweight: dweight)
      let got = try device.numbers(dweight)
      for f in 0..<features {
        var sum = 0.0, size = 0.0
        for t in 0..<tokens {
          let row = x[t * features..<(t + 1) * features].map(Double.init)
          let term = row[f] / (dot(row, row) / Double(features) + 1e-6).squareRoot()
          sum += term
          size += abs(term)
        }
        #expect(abs(Double(got[f]) - sum) <= RoundingBound.gamma(tokens + 12) * size)
      }
    }
  }

  @Test("RMSNorm and its gradient", arguments: precisions)
  func norm(_ precision: CUDAPrecision) throws {
    fake_reset()
    let device = try fakeDevice(precision), tokens = 70, features = 37, epsilon = 1e-5
    let x = normals(tokens * features, seed: 2, precision), dy = normals(tokens * features, seed: 3, precision)
    let start = normals(tokens * features, seed: 4, precision), weight = normals(features, seed: 5, .fp32)
    let xs = try device.makeActivations(x, tokens: tokens, features: features)
    let dys = try device.makeActivations(dy, tokens: tokens, features: features)
    let y = try device.makeActivations(tokens: tokens, features: features)
    let inverse = try device.makeActivations(tokens: tokens, features: 1)
    let w = try device.makeVector(weight)
    try device.rmsNorm(xs, weight: w, epsilon: Float(epsilon), into: y, inverse: inverse)
    var expected = [Double](), dx = [Double](), sizes = [Double]()
    for t in 0..<tokens {
      let row = x[t * features..<(t + 1) * features].map(Double.init)
      let i = 1 / (dot(row, row) / Double(features) + Double(Float(epsilon))).squareRoot()
      let back = (0..<features).map { Double(dy[t * features + $0]) * Double(weight[$0]) }
      let sum = dot(back, row), size = zip(back, row).reduce(0) { $0 + abs($1.0 * $1.1) }
      for f in 0..<features {
        expected.append(row[f] * i * Double(weight[f]))
        dx.append(Double(start[t * features + f]) + i * (back[f] - row[f] * i * i * sum / Double(features)))
        sizes.append(
          abs(Double(start[t * features + f])) + i * (abs(back[f]) + abs(row[f]) * i * i * size / Double(features)))
      }
    }
    expectNear(try device.rows(y), expected, expected.map(abs), roundings: features + 8, precision, "y")
    let dxs = try device.makeActivations(start, tokens: tokens, features: features)
    try device.rmsNormGradient(
      xs, weight: w, inverse: inverse, dy: dys, into: dxs, accumulate: true,
      dweight: try device.makeVector(count: features))
    expectNear(try device.rows(dxs), dx, sizes, roundings: 3 * features + 16, precision, "dx")
  }

  @Test("RoPE turns each pair by its position's angle within its sequence, and back", arguments: precisions)
  func rope(_ precision: CUDAPrecision) throws {
    fake_reset()
    let device = try fakeDevice(precision), sequence = 32, tokens = 64, heads = 2, d = 8, features = heads * d
    let x = normals(tokens * features, seed: 6, precision), theta = 100.0
    let a = try device.makeActivations(x, tokens: tokens, features: features)
    let embedding = RotaryEmbedding(headDimension: d, positions: sequence, theta: theta)
    for inverse in [false, true] {
      try x.withUnsafeBufferPointer { try device.upload($0, to: a) }
      try device.rope(a, embedding, sequence: sequence, inverse: inverse)
      var expected = x.doubles, sizes = expected
      for t in 0..<tokens {
        for pair in 0..<heads * d / 2 {
          let first = t * features + pair / (d / 2) * d + pair % (d / 2), second = first + d / 2
          let angle = (inverse ? -1 : 1) * Double(t % sequence) * pow(theta, -2 * Double(pair % (d / 2)) / Double(d))
          let (p, q) = (Double(x[first]), Double(x[second]))
          expected[first] = p * cos(angle) - q * sin(angle)
          expected[second] = q * cos(angle) + p * sin(angle)
          sizes[first] = abs(p) + abs(q)
          sizes[second] = sizes[first]
        }
      }
      expectNear(try device.rows(a), expected, sizes, roundings: 4, precision, "inverse \(inverse)")
    }
  }

  @Test("Embedding rows, and their gradient with tokens that repeat", arguments: precisions)
  func embedding(_ precision: CUDAPrecision) throws {
    fake_reset()
    let device = try fakeDevice(precision), features = 35, vocabulary = 7
    let tokens: [Int32] = [3, -1, 0, 3, 6, 3, 0, -1, 5, 3] + (0..<30).map { Int32($0 % 2) }
    let table = normals(vocabulary * features, seed: 7, .fp32),
      dy = normals(tokens.count * features, seed: 8, precision)
    let y = try device.makeActivations(tokens: tokens.count, features: features)
    try device.embed(tokens, table: try device.makeVector(table), into: y)
    let rows = tokens.flatMap { token in
      (0..<features).map { token < 0 ? 0 : precision.rounded(table[Int(token) * features + $0]) }
    }
    #expect(try device.rows(y) == rows)
    let dtable = try device.makeVector(table)
    try device.accumulateEmbeddingGradient(
      tokens, dy: try device.makeActivations(dy, tokens: tokens.count, features: features), into: dtable)
    var expected = table.doubles, sizes = table.doubles.map(abs)
    for (t, token) in tokens.enumerated() where token >= 0 {
      for f in 0..<features {
        expected[Int(token) * features + f] += Double(dy[t * features + f])
        sizes[Int(token) * features + f] += abs(Double(dy[t * features + f]))
      }
    }
    let gamma = RoundingBound.gamma(tokens.count + 1)
    expectWithin(try device.numbers(dtable), expected, sizes.map { gamma * $0 }, "dtable")
    try device.accumulateEmbeddingGradient(
      [-1], dy: try device.makeActivations(tokens: 1, features: features), into: dtable)
  }

  @Test("SwiGLU and its gradient, into the memory of dh too", arguments: precisions)
  func swiGLU(_ precision: CUDAPrecision) throws {
    fake_reset()
    let device = try fakeDevice(precision), tokens = 21, features = 19, count = tokens * features
    let gate = normals(count, seed: 9, precision), up = normals(count, seed: 10, precision)
    let dh = normals(count, seed: 11, precision)
    func matrix(_ rows: [Float]) throws -> Activations {
      try device.makeActivations(rows, tokens: tokens, features: features)
    }
    let (g, u, d) = (try matrix(gate), try matrix(up), try matrix(dh))
    let h = try device.makeActivations(tokens: tokens, features: features)
    let dg = try device.makeActivations(tokens: tokens, features: features)
    try device.swiGLU(gate: g, up: u, into: h)
    try device.swiGLUGradient(gate: g, up: u, dh: d, dgate: dg, dup: d)
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    var expected = (h: [Double](), dg: [Double](), du: [Double](), size: [Double]())
    for i in 0..<count {
      let (x, y, z) = (Double(gate[i]), Double(up[i]), Double(dh[i])), s = sigmoid(x)
      expected.h.append(x * s * y)
      expected.dg.append(z * y * (s + x * s * (1 - s)))
      expected.du.append(z * x * s)
      expected.size.append(abs(z * y) * (s + abs(x) * s))
    }
    // The sigmoid's argument is exact; its exponential, sum and quotient are some roundings.
    expectNear(try device.rows(h), expected.h, expected.h.map(abs), roundings: 12, precision, "h")
    expectNear(try device.rows(dg), expected.dg, expected.size, roundings: 16, precision, "dgate")
    expectNear(try device.rows(d), expected.du, expected.du.map(abs), roundings: 12, precision, "dup")
  }

  @Test("Cross-entropy: each token's loss, and the gradient in place", arguments: precisions)
  func crossEntropy(_ precision: CUDAPrecision) throws {
    fake_reset()
    let device = try fakeDevice(precision), tokens = 70, vocabulary = 1100, scale: Float = 0.25
    let logits = normals(tokens * vocabulary, seed: 12, precision)
    let targets = (0..<tokens).map { $0 % 9 == 4 ? Int32(-1) : Int32($0 * 131 % vocabulary) }
    let a = try device.makeActivations(logits, tokens: tokens, features: vocabulary)
    let losses = try device.makeVector([Float](repeating: 9, count: tokens))
    try device.crossEntropy(a, targets: targets, scale: scale, into: losses)
    var expected: [Double] = [], gradient: [Double] = [], sizes: [Double] = []
    for t in 0..<tokens {
      let row = logits[t * vocabulary..<(t + 1) * vocabulary].map(Double.init), target = Int(targets[t])
      let most = row.max() ?? 0, logSum = most + log(row.reduce(0) { $0 + exp($1 - most) })
      expected.append(target < 0 ? 0 : logSum - row[target])
      for v in 0..<vocabulary {
        let p = target < 0 ? 0 : exp(row[v] - logSum)
        gradient.append(target < 0 ? 0 : Double(scale) * (p - (v == target ? 1 : 0)))
        // exp's argument errs by some roundings of |logit| + |log sum|.
        sizes.append(Double(scale) * (p * (abs(row[v]) + abs(logSum) + 1) + (v == target ? 1 : 0)))
      }
    }
    // Rescalings of the running sum: a few roundings for each of the 64 that a warp meets in a slice, then the joins.
    let roundings = 6 * 64 + 40
    expectWithin(
      try device.numbers(losses), expected, expected.map { RoundingBound.gamma(roundings) * ($0 + 8) }, "losses")
    expectNear(try device.rows(a), gradient, sizes, roundings: roundings, precision, "gradient")
  }

  @Test("AdamW, and the sum of squares in Double")
  func optimizer() throws {
    fake_reset()
    let device = try fakeDevice(.bf16), count = 40_001
    let numbers = (0..<4).map { normals(count, seed: UInt64(20 + $0), .fp32) }
    let squares = numbers[3].map { $0 * $0 }
    let value = try device.makeVector(numbers[0]), gradient = try device.makeVector(numbers[1])
    let first = try device.makeVector(numbers[2]), second = try device.makeVector(squares)
    let step = AdamWStep(
      learningRate: 1e-2, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, gradientScale: 0.5, count: 3)
    try device.adamW(step, value: value, gradient: gradient, first: first, second: second)
    let got = try device.numbers(value)
    let bound = RoundingBound.gamma(24)
    var worst = 0.0
    for i in 0..<count {
      let g = Double(numbers[1][i]) * 0.5
      let m = 0.9 * Double(numbers[2][i]) + 0.1 * g, v = 0.95 * Double(squares[i]) + 0.05 * g * g
      let move = 1e-2 * (m / (1 - pow(0.9, 3))) / ((v / (1 - pow(0.95, 3))).squareRoot() + 1e-8)
      let size =
        1e-2 * ((0.9 * abs(Double(numbers[2][i])) + 0.1 * abs(g)) / (1 - pow(0.9, 3)))
        / ((v / (1 - pow(0.95, 3))).squareRoot() + 1e-8)
      let expected = Double(numbers[0][i]) * (1 - 1e-3) - move
      worst = max(worst, abs(Double(got[i]) - expected) - bound * (abs(Double(numbers[0][i])) + size))
    }
    #expect(worst <= 0)
    let sum = numbers[1].reduce(0.0) { $0 + Double($1) * Double($1) }
    #expect(abs(try device.sumOfSquares(gradient) - sum) <= 1e-12 * sum)
    #expect(try device.sumOfSquares(try device.makeVector(count: 0)) == 0)
  }

  @Test("Expansions, their gradient, constants, scaled sums and copies are the processor's, number for number")
  func movements() throws {
    fake_reset()
    let device = try fakeDevice(.fp32), cpu = try CPUDevice(threads: 1)
    let expansion = Expansion(values: 5, index: [4, ~0, 0, Expansion.zero, 2, ~2, 1, 1, ~4, 3])
    let values = normals(5, seed: 30, .fp32), dexpanded = normals(10, seed: 31, .fp32)
    let a = normals(48 * 6, seed: 32, .fp32), b = normals(48 * 6, seed: 33, .fp32)
    func run(_ device: some Device) throws -> [[Float]] {
      let expanded = try device.makeVector(count: 10), dvalues = try device.makeVector(values)
      try device.expand(expansion, try device.makeVector(values), into: expanded)
      try device.accumulateExpansionGradient(expansion, try device.makeVector(dexpanded), into: dvalues)
      let constant = try device.constant("halves") { [0.5, 0.25] }
      let again = try device.constant("halves") { [7] }
      let x = try device.makeActivations(a, tokens: 48, features: 6),
        y = try device.makeActivations(b, tokens: 48, features: 6)
      try device.copyFeatures(x, 1..<4, to: y, at: 2)
      let part = try device.makeActivations(tokens: 16, features: 6)
      try device.copyTokens(x, from: 16, to: part)
      let whole = try device.makeActivations(b, tokens: 48, features: 6)
      try device.pasteTokens(part, to: whole, at: 32)
      let tail = try device.makeActivations(tokens: 5, features: 6)
      let short = try device.makeActivations(Array(a.prefix(21 * 6)), tokens: 21, features: 6)
      try device.copyTokens(short, from: 16, to: tail)
      return [
        try device.numbers(expanded), try device.numbers(dvalues), try device.numbers(constant),
        try device.numbers(again),
        try device.rows(y), try device.rows(part), try device.rows(whole), try device.rows(tail),
      ]
    }
    #expect(try run(device) == run(cpu))
  }

  @Test("Weights that change are rounded again before they are multiplied")
  func shadows() throws {
    fake_reset()
    let device = try fakeDevice(.bf16), grid = BlockGrid.dense(outputs: 16, inputs: 16)
    let values = try device.makeVector([Float](repeating: 1, count: 256))
    let x = try device.makeActivations([Float](repeating: 1, count: 16), tokens: 1, features: 16)
    let y = try device.makeActivations(tokens: 1, features: 16)
    func product() throws -> Float {
      try device.multiply(grid, values, x, into: y, accumulate: false)
      return try device.rows(y)[3]
    }
    #expect(try product() == 16)
    #expect(try product() == 16 && fake_launches("narrow") == 1)
    try [Float](repeating: 2, count: 16).withUnsafeBufferPointer { try device.write($0, to: values[48..<64]) }
    #expect(try product() == 32)
    try device.clear(values)
    #expect(try product() == 0 && fake_launches("narrow") == 3)
  }

  @Test("Limits are measured, and are finite", arguments: precisions)
  func limits(_ precision: CUDAPrecision) throws {
    fake_reset()
    fake_set_memory(16 << 20)
    let limits = try fakeDevice(precision).measureLimits()
    #expect(limits.flopsPerSecond > 0 && limits.flopsPerSecond.isFinite)
    #expect(limits.bytesPerSecond > 0 && limits.bytesPerSecond.isFinite)
    #expect(precision == .bf16 || limits.multiplyAdd == "fp32 multiply-add")
  }

  @Test(
    "The peak in bf16 is the faster of mma.sync and wgmma, which is asked only on Hopper and where its check agrees")
  func peaks() throws {
    func measured() throws -> String {
      fake_set_memory(64 << 20)
      let name = try fakeDevice(.bf16, trustsKernels: false).measureLimits().multiplyAdd
      #expect(fake_launches("multiply_add_peak") > 5)
      return name
    }
    fake_reset()
    // A launch takes a second whatever it does: then more flops are more flops a second.
    fake_let_pass(1000, 0)
    #expect(try measured() == "bf16 wgmma" && fake_launches("group_multiply_add_peak") == 7)
    fake_reset()
    fake_exchange_strides(1)
    #expect(try measured() == "bf16 mma.sync" && fake_launches("group_multiply_add_peak") == 0)
    fake_reset()
    fake_set_capability(8, 0)
    #expect(try measured() == "bf16 mma.sync" && fake_launches("group_multiply_add_peak") == 0)
  }

  @Test("Tokens are cut into shares so that no multiprocessor has a turn alone, where that is worth the sums")
  func shares() throws {
    fake_reset()
    // Three multiprocessors; a step of a tile of 64 x 64 reads 16 KiB.
    let device = try fakeDevice(.bf16)
    func count(_ tiles: Int, steps: Int, blocks: Int) -> Int {
      device.shares(tiles: tiles, steps: steps, stepBytes: 16384, values: tiles * 4096, blocks: blocks).count
    }
    // Four tiles whole are two turns; 12 thirds are four, each a third as long.
    #expect(count(4, steps: 128, blocks: 0) == 3 && count(4, steps: 128, blocks: 2) == 3)
    // As many as there are multiprocessors: nothing to gain but a second block for each.
    #expect(count(3, steps: 128, blocks: 0) == 1 && count(3, steps: 128, blocks: 2) == 2)
    // Too few tokens to cut: a share has 8 steps.
    #expect(count(4, steps: 15, blocks: 2) == 1)
    for tiles in 1...40 {
      for steps in [8, 64, 128, 1000] {
        let chosen = device.shares(tiles: tiles, steps: steps, stepBytes: 16384, values: tiles * 4096, blocks: 0)
        let whole = (tiles + 2) / 3 * steps * 16384
        #expect(chosen.bytes <= whole && chosen.bytes >= tiles * steps / 3 * 16384, "\(tiles) tiles, \(steps) steps")
      }
    }
  }
}
