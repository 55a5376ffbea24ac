import Arrays
import Devices
import Structures
import Testing

@testable import Measuring

/// Verification must be able to fail: a structure that computes almost rightly is found out, in each product.
@Suite struct VerificationTests {
  @Test("A right structure is verified in all three products", arguments: DenseProduct.allCases)
  func right(_ pass: DenseProduct) throws {
    let fraction = try errorFraction(Wrong(fault: .none), pass)
    #expect(fraction <= 1)
  }

  @Test(
    "A structure with a small fault is reported as wrong in the product that has it",
    arguments: [
      (Wrong.Fault.scaledForward, DenseProduct.forward), (.lastTokensForward, .forward),
      (.scaledInput, .inputGradient), (.scaledWeights, .weightGradient), (.droppedTokens, .weightGradient),
    ])
  func wrong(_ fault: Wrong.Fault, _ pass: DenseProduct) throws {
    let fraction = try errorFraction(Wrong(fault: fault), pass)
    #expect(fraction > 1)
  }

  @Test("Every family is verified, circulant blocks of several sides too, at shapes that make their bounds differ")
  func catalog() throws {
    var members: [any Structure] = []
    for shape in [Shape(outputs: 192, inputs: 96), Shape(outputs: 48, inputs: 96)] {
      members += Catalog.all.compactMap { $0.members(of: shape, density: 0.5, seed: 1).first }
      members += try ["circulant-24", "circulant-48"].map {
        try Catalog.member($0, of: shape, density: 1, seed: 1)
      }
    }
    for member in members {
      for tokens in [1, 48] {
        let cell = try BenchCell(member, tokens: tokens, seed: 1, on: CPUDevice(threads: 2))
        let verification = Verification(cell)
        for pass in DenseProduct.allCases {
          let fraction = try verification.errorFraction(pass)
          #expect(fraction >= 0 && fraction <= 1, "\(member.label) \(member.shape) T=\(tokens) \(pass)")
        }
      }
    }
  }

  private func errorFraction(_ structure: Wrong, _ pass: DenseProduct) throws -> Double {
    let cell = try BenchCell(structure, tokens: 48, seed: 1, on: CPUDevice(threads: 2))
    return try Verification(cell).errorFraction(pass)
  }
}

/// A dense matrix whose products have a fault of choice.
struct Wrong: Structure {
  enum Fault: Sendable { case none, scaledForward, lastTokensForward, scaledInput, scaledWeights, droppedTokens }

  static let card = Dense.card
  private let dense: Dense
  private let fault: Fault
  /// Large enough to see, far too small for an eye: a hundredth of a percent.
  private static let factor: Float = 1.0001

  init(fault: Fault) {
    dense = Dense(shape: Shape(outputs: 40, inputs: 24))
    self.fault = fault
  }

  init(parameters: String, shape: Shape, density: Double, seed: UInt64) throws { self.init(fault: .none) }
  init(parameters: String, shape: Shape, pattern: Pattern) throws { self.init(fault: .none) }
  static func members(of shape: Shape, density: Double, seed: UInt64) -> [Wrong] { [] }

  var label: String { "dense" }
  var shape: Shape { dense.shape }
  var pattern: Pattern { dense.pattern }
  var layout: [TensorLayout] { dense.layout }
  func materialize(_ values: [Float]) -> [Double] { dense.materialize(values) }
  func initialValues(gain: Double, using generator: inout SeededGenerator) -> [Float] {
    dense.initialValues(gain: gain, using: &generator)
  }
  func project(_ matrix: [Double]) -> [Float] { dense.project(matrix) }

  func forward(
    _ x: Activations, values: Vector, saved: Activations?, into y: Activations, accumulate: Bool,
    on device: some Device
  ) throws {
    try dense.forward(x, values: values, saved: saved, into: y, accumulate: accumulate, on: device)
    var rows = try device.rows(y)
    if fault == .scaledForward { rows = rows.map { $0 * Self.factor } }
    if fault == .lastTokensForward { for i in rows.count - shape.outputs..<rows.count { rows[i] = 0 } }
    try rows.withUnsafeBufferPointer { try device.upload($0, to: y) }
  }

  func backward(
    _ dy: Activations, x: Activations, values: Vector, saved: Activations?, dx: Activations?, accumulate: Bool,
    dvalues: Vector?, on device: some Device
  ) throws {
    var kept = dy
    if fault == .droppedTokens {
      var rows = try device.rows(dy)
      for i in 0..<shape.outputs { rows[i] = 0 }
      kept = try device.makeActivations(rows, tokens: dy.tokens, features: shape.outputs)
    }
    try dense.backward(
      kept, x: x, values: values, saved: saved, dx: dx, accumulate: accumulate, dvalues: dvalues, on: device)
    if fault == .scaledInput, let dx {
      let rows = try device.rows(dx).map { $0 * Self.factor }
      try rows.withUnsafeBufferPointer { try device.upload($0, to: dx) }
    }
    if fault == .scaledWeights, let dvalues {
      let numbers = try device.numbers(dvalues).map { $0 * Self.factor }
      try numbers.withUnsafeBufferPointer { try device.write($0, to: dvalues) }
    }
  }
}
