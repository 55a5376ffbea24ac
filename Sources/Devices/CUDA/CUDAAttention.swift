import Arrays
import CCUDA

/// Causal attention: on tensor cores in bf16 for heads of 16, 32, 64 and 128, on ordinary multiply-adds for the rest.
extension CUDADevice {
  private static let tile = 64
  private static let keys = 32

  private struct Plan {
    var arguments: fg_attention
    let sequences: Int
    let tiles: Int
    let heads: Int
    let keyValueHeads: Int
    let dimension: Int
    let usesTensorCores: Bool

    /// Blocks of 64 tokens of every head.
    var queryGrid: (Int, Int) { (sequences * tiles, heads) }
    var keyGrid: (Int, Int) { (sequences * tiles, keyValueHeads) }
  }

  private func plan(
    _ g: AttentionGeometry, q: Activations, k: Activations, v: Activations, logSums: Activations
  ) throws -> Plan {
    precondition(g.sequence.isMultiple(of: 16) && g.sequence > 0 && q.tokens.isMultiple(of: g.sequence))
    precondition(q.features == g.heads * g.headDimension && k.tokens == q.tokens && v.tokens == q.tokens)
    precondition(k.features == g.keyValueHeads * g.headDimension && v.features == k.features)
    precondition(g.heads.isMultiple(of: g.keyValueHeads) && g.window > 0 && logSums.features == g.heads)
    var a = fg_attention()
    a.q = UnsafeRawPointer(q.buffer.address)
    a.k = UnsafeRawPointer(k.buffer.address)
    a.v = UnsafeRawPointer(v.buffer.address)
    a.logSums = try statistic(logSums)
    a.heads = Int32(g.heads)
    a.keyValueHeads = Int32(g.keyValueHeads)
    a.dimension = Int32(g.headDimension)
    a.sequence = Int32(g.sequence)
    a.sequences = Int32(q.tokens / g.sequence)
    a.window = Int32(min(g.window, Int(Int32.max / 4)))
    a.pitch = Int32(q.pitch)
    a.scale = 1 / Float(g.headDimension).squareRoot()
    return Plan(
      arguments: a, sequences: q.tokens / g.sequence, tiles: (g.sequence + CUDADevice.tile - 1) / CUDADevice.tile,
      heads: g.heads, keyValueHeads: g.keyValueHeads, dimension: g.headDimension,
      usesTensorCores: precision == .bf16 && [16, 32, 64, 128].contains(g.headDimension))
  }

  /// Whole tiles of keys count, masked or not: that is what is computed.
  private func flops(_ g: AttentionGeometry, _ plan: Plan, products: Int) -> Int {
    let width = plan.usesTensorCores ? CUDADevice.tile : CUDADevice.keys
    let pairs = (0..<plan.tiles).reduce(0) { sum, tile in
      let first = max(0, tile * CUDADevice.tile - g.window + 1) / width * width
      let end = min(g.sequence, (tile + 1) * CUDADevice.tile)
      return sum + CUDADevice.tile * ((end - first + width - 1) / width * width)
    }
    return 2 * products * plan.sequences * g.heads * g.headDimension * pairs
  }

  /// Shared memory, refused where the GPU has too little.
  private func require(_ bytes: Int, _ g: AttentionGeometry) throws -> Int {
    guard bytes <= context.sharedBytes else {
      throw Refusal.missing(
        "attention with heads of \(g.headDimension) needs \(bytes) bytes of shared memory a block, and \(name) has "
          + "\(context.sharedBytes); use smaller heads, or --device cpu")
    }
    return bytes
  }

  public func attention(
    _ geometry: AttentionGeometry, q: Activations, k: Activations, v: Activations, into output: Activations,
    logSums: Activations
  ) throws {
    guard q.tokens > 0 else { return }
    var plan = try plan(geometry, q: q, k: k, v: v, logSums: logSums)
    plan.arguments.y = output.buffer.address
    count(flops: flops(geometry, plan, products: 2))
    let d = plan.dimension
    if plan.usesTensorCores {
      return try launch(
        "attention_tensor_\(d)", of: "attention_tensor.cu", grid: plan.queryGrid, threads: 128,
        shared: try require(3 * d * 72 * 2, geometry), plan.arguments)
    }
    try launch(
      "attention", of: "attention.cu", grid: plan.queryGrid, threads: 64,
      shared: try require(d * (2 * CUDADevice.tile + 2 * CUDADevice.keys) * 4, geometry), plan.arguments)
  }

  public func attentionGradient(
    _ geometry: AttentionGeometry, q: Activations, k: Activations, v: Activations, output: Activations,
    logSums: Activations, doutput: Activations, dq: Activations, dk: Activations, dv: Activations
  ) throws {
    guard q.tokens > 0 else { return }
    var plan = try plan(geometry, q: q, k: k, v: v, logSums: logSums)
    plan.arguments.output = UnsafeRawPointer(output.buffer.address)
    plan.arguments.doutput = UnsafeRawPointer(doutput.buffer.address)
    plan.arguments.dq = dq.buffer.address
    plan.arguments.dk = dk.buffer.address
    plan.arguments.dv = dv.buffer.address
    count(flops: flops(geometry, plan, products: 7))
    let d = plan.dimension
    try withBuffer(byteCount: geometry.heads * q.pitch * 4) { buffer in
      plan.arguments.delta = buffer.address.assumingMemoryBound(to: Float.self)
      try launch(
        "attention_delta", of: "attention.cu", grid: ((q.pitch + 255) / 256, geometry.heads), plan.arguments)
      if plan.usesTensorCores {
        let source = "attention_tensor_gradient.cu", tiles = try require(4 * d * 72 * 2 + 512, geometry)
        try launch(
          "attention_tensor_queries_\(d)", of: source, grid: plan.queryGrid, threads: 128, shared: tiles, plan.arguments
        )
        try launch(
          "attention_tensor_keys_\(d)", of: source, grid: plan.keyGrid, threads: 128, shared: tiles, plan.arguments)
        return
      }
      let own = CUDADevice.tile, other = 2 * CUDADevice.keys
      try launch(
        "attention_gradient_queries", of: "attention.cu", grid: plan.queryGrid, threads: 64,
        shared: try require(d * (3 * own + other) * 4, geometry), plan.arguments)
      try launch(
        "attention_gradient_keys", of: "attention.cu", grid: plan.keyGrid, threads: 64,
        shared: try require((d * (4 * own + other) + other) * 4, geometry), plan.arguments)
    }
  }
}
