import Arrays
import FakeCUDA
import Testing

@testable import Devices

/// A geometry that some tile of the kernels finds awkward.
struct AttentionCase: CustomTestStringConvertible, Sendable {
  let geometry: AttentionGeometry
  let sequences: Int
  let precision: CUDAPrecision

  var testDescription: String {
    "D=\(geometry.headDimension) heads \(geometry.heads)/\(geometry.keyValueHeads) sequence \(geometry.sequence) "
      + "window \(geometry.window) x \(sequences) \(precision)"
  }

  static func make(
    _ dimension: Int, heads: Int, keyValueHeads: Int, sequence: Int, window: Int, sequences: Int = 1
  ) -> [AttentionCase] {
    let geometry = AttentionGeometry(
      heads: heads, keyValueHeads: keyValueHeads, headDimension: dimension, sequence: sequence, window: window)
    return [CUDAPrecision.bf16, .fp32].map { AttentionCase(geometry: geometry, sequences: sequences, precision: $0) }
  }

  static let all: [AttentionCase] =
    make(16, heads: 2, keyValueHeads: 1, sequence: 80, window: 1000, sequences: 2)
    + make(32, heads: 1, keyValueHeads: 1, sequence: 144, window: 37)
    + make(64, heads: 2, keyValueHeads: 2, sequence: 96, window: 70, sequences: 1)
    + make(128, heads: 1, keyValueHeads: 1, sequence: 80, window: 64)
    + make(8, heads: 4, keyValueHeads: 2, sequence: 48, window: 11, sequences: 2)
    + make(24, heads: 1, keyValueHeads: 1, sequence: 16, window: 1)
}

@Suite struct AttentionTests {
  @Test(
    "Attention and its gradient are the definition's, within the bound of their roundings", arguments: AttentionCase.all
  )
  func attention(_ test: AttentionCase) throws {
    fake_reset()
    let g = test.geometry, precision = test.precision, tokens = g.sequence * test.sequences
    let wide = g.heads * g.headDimension, narrow = g.keyValueHeads * g.headDimension
    let q = normals(tokens * wide, seed: 1, precision), k = normals(tokens * narrow, seed: 2, precision)
    let v = normals(tokens * narrow, seed: 3, precision), doutput = normals(tokens * wide, seed: 4, precision)
    let oracle = AttentionOracle(g, element: precision.element, q: q, k: k, v: v, doutput: doutput)
    let device = try fakeDevice(precision)
    func matrix(_ rows: [Float], _ features: Int) throws -> Activations {
      try device.makeActivations(rows, tokens: tokens, features: features)
    }
    let (qs, ks, vs) = (try matrix(q, wide), try matrix(k, narrow), try matrix(v, narrow))
    let output = try device.makeActivations(tokens: tokens, features: wide)
    let logSums = try device.makeActivations(tokens: tokens, features: g.heads)
    try device.attention(g, q: qs, k: ks, v: vs, into: output, logSums: logSums)
    expectWithin(try device.rows(output), oracle.output, oracle.outputBound, "output")
    let dq = try device.makeActivations(tokens: tokens, features: wide)
    let dk = try device.makeActivations(tokens: tokens, features: narrow)
    let dv = try device.makeActivations(tokens: tokens, features: narrow)
    try device.attentionGradient(
      g, q: qs, k: ks, v: vs, output: output, logSums: logSums, doutput: try matrix(doutput, wide), dq: dq, dk: dk,
      dv: dv)
    expectWithin(try device.rows(dq), oracle.dq, oracle.dqBound, "dq")
    expectWithin(try device.rows(dk), oracle.dk, oracle.dkBound, "dk")
    expectWithin(try device.rows(dv), oracle.dv, oracle.dvBound, "dv")
    let usesTensorCores = precision == .bf16 && [16, 32, 64, 128].contains(g.headDimension)
    #expect(fake_launches("attention_tensor_\(g.headDimension)") == (usesTensorCores ? 1 : 0))
    #expect(fake_launches("attention") == (usesTensorCores ? 0 : 1))
  }

  @Test("Heads that need more shared memory than a block can have are refused with a sentence")
  func tooLarge() throws {
    fake_reset()
    let device = try fakeDevice(.fp32)
    let g = AttentionGeometry(heads: 1, keyValueHeads: 1, headDimension: 512, sequence: 16, window: 16)
    let x = try device.makeActivations(tokens: 16, features: 512),
      sums = try device.makeActivations(tokens: 16, features: 1)
    let refusal = #expect(throws: Refusal.self) { try device.attention(g, q: x, k: x, v: x, into: x, logSums: sums) }
    #expect(refusal?.kind == .missing && refusal?.sentence.contains("heads of 512") == true)
  }
}
