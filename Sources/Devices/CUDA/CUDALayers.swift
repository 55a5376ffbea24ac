import Arrays
import CCUDA

/// The model's own primitives, all but attention.
extension CUDADevice {
  // MARK: Embedding

  public func embed(_ tokens: [Int32], table: Vector, into y: Activations) throws {
    precondition(tokens.count == y.tokens && table.count.isMultiple(of: y.features))
    precondition(tokens.allSatisfy { $0 < table.count / max(1, y.features) })
    try with(tokens) { ids in
      var a = fg_embedding()
      a.tokens = ids
      a.table = table.pointer
      a.y = y.buffer.address
      a.count = Int32(tokens.count)
      a.features = Int32(y.features)
      a.pitch = Int32(y.pitch)
      try launch("embed", of: "embedding.cu", grid: (y.pitch / 32, (y.features + 31) / 32), a)
    }
  }

  public func accumulateEmbeddingGradient(_ tokens: [Int32], dy: Activations, into dtable: Vector) throws {
    precondition(tokens.count == dy.tokens && dtable.count.isMultiple(of: dy.features))
    precondition(tokens.allSatisfy { $0 < dtable.count / max(1, dy.features) })
    // The positions of each token that occurs, both ascending.
    var positions = tokens.indices.filter { tokens[$0] >= 0 }
    positions.sort { (tokens[$0], $0) < (tokens[$1], $1) }
    var ids: [Int32] = [], starts: [Int32] = []
    for (place, position) in positions.enumerated() where ids.last != tokens[position] {
      ids.append(tokens[position])
      starts.append(Int32(place))
    }
    starts.append(Int32(positions.count))
    guard !ids.isEmpty else { return }
    wrote(dtable)
    try with(ids) { id in
      try with(starts) { start in
        try with(positions.map { Int32($0) }) { position in
          var a = fg_embedding()
          a.table = dtable.pointer
          a.y = dy.buffer.address
          a.id = id
          a.start = start
          a.position = position
          a.ids = Int32(ids.count)
          a.features = Int32(dy.features)
          a.pitch = Int32(dy.pitch)
          try launch("embed_gradient", of: "embedding.cu", grid: (min(ids.count, 1 << 16), 1), a)
        }
      }
    }
  }

  // MARK: RMSNorm

  public func rmsNorm(
    _ x: Activations, weight: Vector, epsilon: Float, into y: Activations, inverse: Activations
  ) throws {
    precondition(x.features == y.features && weight.count == x.features && inverse.features == 1)
    precondition(x.tokens == y.tokens && x.tokens == inverse.tokens)
    var a = try norm(x, weight, inverse)
    a.y = y.buffer.address
    a.epsilon = epsilon
    try launch("rms_norm", of: "norm.cu", grid: (x.pitch / 64, 1), a)
  }

  public func rmsNormGradient(
    _ x: Activations, weight: Vector, inverse: Activations, dy: Activations, into dx: Activations,
    accumulate: Bool, dweight: Vector
  ) throws {
    precondition(x.features == dy.features && x.features == dx.features && dweight.count == x.features)
    precondition(x.tokens == dy.tokens && x.tokens == dx.tokens && x.tokens == inverse.tokens)
    guard x.tokens > 0 else { return }
    var a = try norm(x, weight, inverse)
    a.dy = UnsafeRawPointer(dy.buffer.address)
    a.dweight = dweight.pointer
    wrote(dweight)
    try launch("rms_norm_weight_gradient", of: "norm.cu", grid: (x.features, 1), a)
    a.y = dx.buffer.address
    a.accumulate = accumulate ? 1 : 0
    try launch("rms_norm_gradient", of: "norm.cu", grid: (x.pitch / 64, 1), a)
  }

  private func norm(_ x: Activations, _ weight: Vector, _ inverse: Activations) throws -> fg_norm {
    var a = fg_norm()
    a.x = UnsafeRawPointer(x.buffer.address)
    a.weight = UnsafePointer(weight.pointer)
    a.inverse = try statistic(inverse)
    a.features = Int32(x.features)
    a.pitch = Int32(x.pitch)
    return a
  }

  // MARK: Elementwise

  public func rope(_ x: Activations, _ rope: RotaryEmbedding, sequence: Int, inverse: Bool) throws {
    precondition(sequence.isMultiple(of: 16) && sequence <= rope.positions)
    precondition(x.features.isMultiple(of: rope.headDimension))
    let angles = try tables.rope(rope, on: self)
    var a = fg_rope()
    a.x = x.buffer.address
    a.cosine = angles.cosine
    a.sine = angles.sine
    a.half = Int32(rope.headDimension / 2)
    a.heads = Int32(x.features / rope.headDimension)
    a.pitch = Int32(x.pitch)
    a.positions = Int32(rope.positions)
    a.sequence = Int32(sequence)
    a.tokens = Int32(x.tokens)
    a.direction = inverse ? -1 : 1
    try launch("rotate", of: "pointwise.cu", grid: ((x.tokens + 255) / 256, x.features / 2), a)
  }

  private func pointwise(_ kernel: String, _ a: fg_pointwise, on matrix: Activations) throws {
    var a = a
    a.count = Int64(matrix.features * matrix.pitch)
    try launch(kernel, of: "pointwise.cu", grid: (blocks(for: Int(a.count) / 2), 1), a)
  }

  public func swiGLU(gate: Activations, up: Activations, into h: Activations) throws {
    precondition(gate.features == up.features && gate.features == h.features)
    precondition(gate.tokens == up.tokens && gate.tokens == h.tokens)
    var a = fg_pointwise()
    a.a = UnsafeRawPointer(gate.buffer.address)
    a.b = UnsafeRawPointer(up.buffer.address)
    a.y = h.buffer.address
    try pointwise("swiglu", a, on: h)
  }

  public func swiGLUGradient(
    gate: Activations, up: Activations, dh: Activations, dgate: Activations, dup: Activations
  ) throws {
    precondition(gate.features == dh.features && dgate.features == dh.features && dup.features == dh.features)
    precondition(gate.tokens == dh.tokens && dgate.tokens == dh.tokens && dup.tokens == dh.tokens)
    var a = fg_pointwise()
    a.a = UnsafeRawPointer(gate.buffer.address)
    a.b = UnsafeRawPointer(up.buffer.address)
    a.c = UnsafeRawPointer(dh.buffer.address)
    a.y = dgate.buffer.address
    a.z = dup.buffer.address
    try pointwise("swiglu_gradient", a, on: dh)
  }

  public func add(_ a: Activations, scale: Float, to y: Activations) throws {
    precondition(a.features == y.features && a.tokens == y.tokens)
    var arguments = fg_pointwise()
    arguments.a = UnsafeRawPointer(a.buffer.address)
    arguments.y = y.buffer.address
    arguments.scale = scale
    try pointwise("add_scaled", arguments, on: y)
  }

  // MARK: Loss

  /// 8192 fill the chip with products of the output layer; a small GPU gives a thirty-second of its memory to logits.
  public func tokensOfLogits(vocabulary: Int) -> Int {
    let most = context.memoryBytes / 32 / precision.elementBytes / max(1, vocabulary)
    return max(256, min(8192, most / 64 * 64))
  }

  public func crossEntropy(_ logits: Activations, targets: [Int32], scale: Float, into losses: Vector) throws {
    precondition(targets.count == logits.tokens && targets.allSatisfy { $0 < logits.features })
    precondition(losses.count == logits.tokens)
    guard logits.tokens > 0, logits.features > 0 else { return try clear(losses) }
    let slices = (logits.features + 511) / 512, pitch = logits.pitch
    wrote(losses)
    try with(targets) { targets in
      try withBuffer(byteCount: (2 * slices + 1) * pitch * 4) { buffer in
        var a = fg_loss()
        a.logits = logits.buffer.address
        a.targets = targets
        a.losses = losses.pointer
        a.logSums = buffer.address.assumingMemoryBound(to: Float.self)
        a.partial = a.logSums + pitch
        a.scale = scale
        a.vocabulary = Int32(logits.features)
        a.tokens = Int32(logits.tokens)
        a.pitch = Int32(pitch)
        a.slices = Int32(slices)
        try launch("loss_slices", of: "loss.cu", grid: (pitch / 64, slices), a)
        try launch("loss_tokens", of: "loss.cu", grid: (pitch / 64, 1), threads: 64, a)
        try launch("loss_gradient", of: "loss.cu", grid: (pitch / 64, slices), a)
      }
    }
  }
}
