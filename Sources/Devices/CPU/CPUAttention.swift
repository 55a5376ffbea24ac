import Arrays
import CKernels
import Glibc

/// Causal attention in tiles: one task is one key-value head of one sequence; a panel of 16 queries is in the lanes.
///
///     S = K q / sqrt(D),  P = softmax(S) over the visible keys,  o = V' P
///
/// Scores live only as [keys, 16 queries] of one panel. The gradient makes P again from the kept log sums (Dao et al.
/// 2022, arXiv 2205.14135):  dP = V do,  dS = P (dP - sum(do * o)),  dq = K' dS,  dK = dS q',  dV = P do'.
extension CPUDevice {
  public func attention(
    _ geometry: AttentionGeometry, q: Activations, k: Activations, v: Activations, into output: Activations,
    logSums: Activations
  ) throws {
    let plan = AttentionPlan(geometry, q: q, k: k)
    try withBuffer(byteCount: plan.scoreBytes * threads) { scratch in
      pool.run(plan.tasks) { task, worker in
        let scores = scratch.address.assumingMemoryBound(to: Float.self) + worker * plan.scoreBytes / 4
        plan.queryPanels(of: task) { head, panel, visible in
          plan.scores(
            self.kernels, keys: k, of: task, against: q.panel(panel) + head * plan.headFloats, visible, scores)
          self.kernels.softmax(scores, visible, plan.scale, logSums.panel(panel) + head * 16)
          plan.weighted(
            self.kernels, values: v, of: task, by: scores, visible, into: output.panel(panel) + head * plan.headFloats)
        }
      }
    }
    count(flops: plan.flops(products: 2, sequences: plan.sequences))
  }

  public func attentionGradient(
    _ geometry: AttentionGeometry, q: Activations, k: Activations, v: Activations, output: Activations,
    logSums: Activations, doutput: Activations, dq: Activations, dk: Activations, dv: Activations
  ) throws {
    let plan = AttentionPlan(geometry, q: q, k: k)
    pool.run(dk.panels) { index in
      memset(dk.panel(index), 0, dk.features * 64)
      memset(dv.panel(index), 0, dv.features * 64)
    }
    let bytes = 2 * plan.scoreBytes + 1024 + 64
    try withBuffer(byteCount: bytes * threads) { scratch in
      pool.run(plan.tasks) { task, worker in
        let p = scratch.address.assumingMemoryBound(to: Float.self) + worker * bytes / 4
        let dp = p + plan.scoreBytes / 4
        let square = dp + plan.scoreBytes / 4, delta = square + 256
        plan.queryPanels(of: task) { head, panel, visible in
          let at = head * plan.headFloats
          let query = q.panel(panel) + at, dout = doutput.panel(panel) + at
          plan.scores(self.kernels, keys: k, of: task, against: query, visible, p)
          self.kernels.softmaxAgain(p, visible, plan.scale, logSums.panel(panel) + head * 16)
          plan.scores(self.kernels, keys: v, of: task, against: dout, visible, dp)
          self.kernels.dotLines(plan.dimension, dout, output.panel(panel) + at, delta)
          self.kernels.softmaxGradient(Int(visible.pointee.keys), p, dp, plan.scale, delta)
          plan.weighted(self.kernels, values: k, of: task, by: dp, visible, into: dq.panel(panel) + at)
          plan.outer(self.kernels, dp, times: query, visible, task, into: dk, square)
          plan.outer(self.kernels, p, times: dout, visible, task, into: dv, square)
        }
      }
    }
    count(flops: plan.flops(products: 5, sequences: plan.sequences))
  }
}

/// Where one attention call's heads, panels and keys lie.
private struct AttentionPlan {
  let geometry: AttentionGeometry
  let sequences: Int
  let dimension: Int
  let scale: Float
  /// Floats of one head in a panel.
  let headFloats: Int
  /// Features of a panel of keys.
  let keyFeatures: Int

  init(_ geometry: AttentionGeometry, q: Activations, k: Activations) {
    precondition(geometry.sequence.isMultiple(of: 16) && q.tokens.isMultiple(of: geometry.sequence))
    precondition(q.features == geometry.heads * geometry.headDimension)
    precondition(k.features == geometry.keyValueHeads * geometry.headDimension && k.tokens == q.tokens)
    precondition(geometry.heads.isMultiple(of: geometry.keyValueHeads) && geometry.window > 0)
    self.geometry = geometry
    sequences = q.tokens / geometry.sequence
    dimension = geometry.headDimension
    scale = 1 / Float(dimension).squareRoot()
    headFloats = dimension * 16
    keyFeatures = k.features
  }

  var panelsPerSequence: Int { geometry.sequence / 16 }
  var tasks: Int { sequences * geometry.keyValueHeads }
  var scoreBytes: Int { geometry.sequence * 64 }

  /// Whole panels of keys count, masked or not: that is what is computed.
  func flops(products: Int, sequences: Int) -> Int {
    let keys = (0..<panelsPerSequence).reduce(0) { $0 + ($1 + 1 - firstKeyPanel($1)) * 16 }
    return 2 * products * sequences * geometry.heads * dimension * 16 * keys
  }

  func firstKeyPanel(_ queryPanel: Int) -> Int {
    max(0, queryPanel * 16 - geometry.window + 1) / 16
  }

  /// Visits every query head of the task's key-value head and every query panel of its sequence.
  func queryPanels(
    of task: Int, _ body: (_ head: Int, _ panel: Int, _ visible: UnsafePointer<fg_visible>) -> Void
  ) {
    let group = geometry.heads / geometry.keyValueHeads
    let keyHead = task % geometry.keyValueHeads, base = task / geometry.keyValueHeads * panelsPerSequence
    for head in keyHead * group..<(keyHead + 1) * group {
      for index in 0..<panelsPerSequence {
        let first = firstKeyPanel(index)
        var visible = fg_visible(
          firstKey: Int32(first * 16), keys: Int32((index + 1 - first) * 16), position: Int32(index * 16),
          window: Int32(min(geometry.window, Int(Int32.max / 2))))
        body(head, base + index, &visible)
      }
    }
  }

  /// The first visible panel of this task's head in keys or values.
  private func lines(_ a: Activations, _ task: Int, _ visible: UnsafePointer<fg_visible>) -> UnsafeMutablePointer<Float>
  {
    let panel = task / geometry.keyValueHeads * panelsPerSequence + Int(visible.pointee.firstKey) / 16
    return a.panel(panel) + task % geometry.keyValueHeads * headFloats
  }

  /// target[key] = sum over d of keys[key, d] * query[d]: a row of the tile is a key.
  func scores(
    _ kernels: fg_kernels, keys: Activations, of task: Int, against query: UnsafePointer<Float>,
    _ visible: UnsafePointer<fg_visible>, _ target: UnsafeMutablePointer<Float>
  ) {
    var tile = fg_product()
    tile.w = UnsafePointer(lines(keys, task, visible))
    tile.wPanel = keyFeatures * 16
    tile.wRow = 1
    tile.wStep = 16
    tile.x = query
    tile.xStep = 16
    tile.y = target
    tile.yPanel = 256
    tile.yRow = 16
    tile.panels = Int(visible.pointee.keys) / 16
    tile.rows = 16
    tile.segments = 1
    tile.length = dimension
    tile.columns = 16
    kernels.multiply(&tile)
  }

  /// target[d] = sum over keys of values[key, d] * weight[key]: a row of the tile is a feature.
  func weighted(
    _ kernels: fg_kernels, values: Activations, of task: Int, by weight: UnsafePointer<Float>,
    _ visible: UnsafePointer<fg_visible>, into target: UnsafeMutablePointer<Float>
  ) {
    var tile = fg_product()
    tile.w = UnsafePointer(lines(values, task, visible))
    tile.wSegment = keyFeatures * 16
    tile.wRow = 16
    tile.wStep = 1
    tile.x = weight
    tile.xSegment = 256
    tile.xStep = 16
    tile.y = target
    tile.yRow = 16
    tile.panels = 1
    tile.rows = dimension
    tile.segments = Int(visible.pointee.keys) / 16
    tile.length = 16
    tile.columns = 16
    kernels.multiply(&tile)
  }

  /// target[key, d] += sum over queries of weight[key, query] * x[query, d], one square of 16 keys after another: the
  /// square is turned so that keys are in the lanes.
  func outer(
    _ kernels: fg_kernels, _ weight: UnsafePointer<Float>, times x: UnsafePointer<Float>,
    _ visible: UnsafePointer<fg_visible>, _ task: Int, into target: Activations, _ square: UnsafeMutablePointer<Float>
  ) {
    var tile = fg_product()
    tile.w = x
    tile.wRow = 16
    tile.wStep = 1
    tile.x = UnsafePointer(square)
    tile.xStep = 16
    tile.y = lines(target, task, visible)
    tile.yRow = 16
    tile.panels = 1
    tile.rows = dimension
    tile.segments = 1
    tile.length = 16
    tile.columns = 16
    tile.accumulate = 1
    for panel in 0..<Int(visible.pointee.keys) / 16 {
      kernels.transpose(weight + panel * 256, 16, square, 16)
      kernels.multiply(&tile)
      tile.y += keyFeatures * 16
    }
  }
}
