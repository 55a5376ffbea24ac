import Arrays
import CKernels
import Glibc

/// The model's own primitives: each task is one panel, or a range of features where tokens are summed over.
extension CPUDevice {
  private static let featuresPerTask = 64

  private func overFeatures(_ features: Int, _ body: (Range<Int>) -> Void) {
    let size = CPUDevice.featuresPerTask
    pool.run((features + size - 1) / size) { body($0 * size..<min(features, ($0 + 1) * size)) }
  }

  public func embed(_ tokens: [Int32], table: Vector, into y: Activations) {
    precondition(tokens.count == y.tokens && table.count.isMultiple(of: y.features))
    let features = y.features, rows = table.count / max(1, features)
    pool.run(y.panels) { index in
      let panel = y.panel(index)
      for t in 0..<16 {
        let token = index * 16 + t < tokens.count ? Int(tokens[index * 16 + t]) : -1
        precondition(token < rows)
        if token < 0 {
          for f in 0..<features { panel[f * 16 + t] = 0 }
        } else {
          let row = table.pointer + token * features
          for f in 0..<features { panel[f * 16 + t] = row[f] }
        }
      }
    }
  }

  public func accumulateEmbeddingGradient(_ tokens: [Int32], dy: Activations, into dtable: Vector) {
    precondition(tokens.count == dy.tokens && dtable.count.isMultiple(of: dy.features))
    let features = dy.features
    // A task owns some features of every row, and meets the tokens in order: no two tasks write one number.
    overFeatures(features) { range in
      for (t, token) in tokens.enumerated() where token >= 0 {
        let row = dtable.pointer + Int(token) * features
        let panel = dy.panel(t / 16) + t % 16
        for f in range { row[f] += panel[f * 16] }
      }
    }
  }

  public func rmsNorm(
    _ x: Activations, weight: Vector, epsilon: Float, into y: Activations, inverse: Activations
  ) {
    precondition(x.features == y.features && weight.count == x.features && inverse.features == 1)
    pool.run(x.panels) { index in
      self.kernels.rmsNorm(x.features, x.panel(index), weight.pointer, epsilon, y.panel(index), inverse.panel(index))
    }
  }

  public func rmsNormGradient(
    _ x: Activations, weight: Vector, inverse: Activations, dy: Activations, into dx: Activations,
    accumulate: Bool, dweight: Vector
  ) {
    precondition(x.features == dy.features && x.features == dx.features && dweight.count == x.features)
    overFeatures(x.features) { range in
      self.kernels.rmsNormWeightGradient(
        range.lowerBound, range.upperBound, x.panels, x.features, x.lines, inverse.lines, dy.lines, dweight.pointer)
    }
    pool.run(x.panels) { index in
      self.kernels.rmsNormInputGradient(
        x.features, x.panel(index), weight.pointer, inverse.panel(index), dy.panel(index), dx.panel(index),
        accumulate ? 1 : 0)
    }
  }

  public func rope(_ x: Activations, _ rope: RotaryEmbedding, sequence: Int, inverse: Bool) {
    let half = rope.headDimension / 2
    precondition(sequence.isMultiple(of: 16) && sequence <= rope.positions)
    precondition(x.features.isMultiple(of: rope.headDimension))
    rope.cosine.withUnsafeBufferPointer { cosine in
      rope.sine.withUnsafeBufferPointer { sine in
        pool.run(x.panels) { index in
          let at = index % (sequence / 16) * half * 16
          self.kernels.rope(
            x.features / rope.headDimension, half, x.panel(index), cosine.baseAddress! + at, sine.baseAddress! + at,
            inverse ? -1 : 1)
        }
      }
    }
  }

  public func swiGLU(gate: Activations, up: Activations, into h: Activations) {
    precondition(gate.features == up.features && gate.features == h.features)
    pool.run(h.panels) { index in
      self.kernels.swiGLU(h.features * 16, gate.panel(index), up.panel(index), h.panel(index))
    }
  }

  public func swiGLUGradient(
    gate: Activations, up: Activations, dh: Activations, dgate: Activations, dup: Activations
  ) {
    precondition(gate.features == dh.features && dgate.features == dh.features && dup.features == dh.features)
    pool.run(dh.panels) { index in
      self.kernels.swiGLUGradient(
        dh.features * 16, gate.panel(index), up.panel(index), dh.panel(index), dgate.panel(index), dup.panel(index))
    }
  }

  public func crossEntropy(_ logits: Activations, targets: [Int32], scale: Float, into losses: Vector) throws {
    precondition(targets.count == logits.tokens && targets.allSatisfy { $0 < logits.features })
    precondition(losses.count == logits.tokens)
    let padded = targets + [Int32](repeating: -1, count: logits.panels * 16 - targets.count)
    // The padding lanes have losses too.
    try withBuffer(byteCount: logits.panels * 64) { buffer in
      let each = buffer.address.assumingMemoryBound(to: Float.self)
      padded.withUnsafeBufferPointer { targets in
        pool.run(logits.panels) { index in
          self.kernels.crossEntropy(
            logits.features, logits.panel(index), targets.baseAddress! + index * 16, scale, each + index * 16)
        }
      }
      losses.pointer.update(from: each, count: logits.tokens)
    }
  }

  public func add(_ a: Activations, scale: Float, to y: Activations) {
    precondition(a.features == y.features && a.tokens == y.tokens)
    pool.run(y.panels) { self.kernels.add(y.features * 16, scale, a.panel($0), y.panel($0)) }
  }

  public func copy(_ a: Activations, to y: Activations) {
    precondition(a.features == y.features && a.tokens == y.tokens)
    pool.run(y.panels) { _ = memcpy(y.panel($0), a.panel($0), y.features * 64) }
  }

  public func copyFeatures(_ a: Activations, _ range: Range<Int>, to y: Activations, at feature: Int) {
    precondition(a.tokens == y.tokens && range.lowerBound >= 0 && range.upperBound <= a.features)
    precondition(feature >= 0 && feature + range.count <= y.features)
    pool.run(y.panels) {
      _ = memcpy(y.panel($0) + feature * 16, a.panel($0) + range.lowerBound * 16, range.count * 64)
    }
  }

  public func copyTokens(_ a: Activations, from start: Int, to y: Activations) {
    precondition(a.features == y.features && start.isMultiple(of: 16) && start + y.tokens <= a.tokens)
    precondition(y.tokens.isMultiple(of: 16) || start + y.tokens == a.tokens)
    pool.run(y.panels) { _ = memcpy(y.panel($0), a.panel(start / 16 + $0), y.features * 64) }
  }

  public func pasteTokens(_ a: Activations, to y: Activations, at start: Int) {
    precondition(a.features == y.features && start.isMultiple(of: 16) && start + a.tokens <= y.tokens)
    precondition(a.tokens.isMultiple(of: 16) || start + a.tokens == y.tokens)
    pool.run(a.panels) { _ = memcpy(y.panel(start / 16 + $0), a.panel($0), y.features * 64) }
  }
}
