import Devices

/// logits = W f, and the mean cross-entropy of the next token: a few hundred tokens at a time, so that the logits of all
/// tokens are never in memory together.
struct OutputLoss: Sendable {
  let head: Linear

  /// Tokens whose logits are held at once; a multiple of every device's granularity.
  static let chunk = 256

  /// The sum of -ln p(target) over the tokens whose target is not -1.
  ///
  /// With `df`, also the gradient of scale * sum: df = W' dlogits, dW += dlogits f', where
  /// dlogits = scale * (softmax(logits) - onehot(target)).
  func run(
    _ f: Activations, targets: [Int32], scale: Float, _ parameters: Parameters, df: Activations?,
    losses: UnsafeMutableBufferPointer<Float>? = nil, logits kept: ((Activations) throws -> Void)? = nil,
    on device: any Device
  ) throws -> Double {
    var total = 0.0
    for start in stride(from: 0, to: f.tokens, by: OutputLoss.chunk) {
      let tokens = min(OutputLoss.chunk, f.tokens - start)
      try device.withScratch(tokens: tokens, features: f.features) { part in
        try device.copyTokens(f, from: start, to: part)
        try device.withScratch(tokens: tokens, features: head.structure.shape.outputs) { logits in
          try head.forward(part, parameters, into: logits, on: device)
          try kept?(logits)
          total += try device.crossEntropy(
            logits, targets: Array(targets[start..<start + tokens]), scale: scale,
            losses: losses.map { UnsafeMutableBufferPointer(rebasing: $0[start..<start + tokens]) })
          guard let df else { return }
          try device.withScratch(tokens: tokens, features: f.features) { dpart in
            try head.backward(logits, x: part, parameters, dx: dpart, on: device)
            try device.pasteTokens(dpart, to: df, at: start)
          }
        }
      }
    }
    return total
  }
}
