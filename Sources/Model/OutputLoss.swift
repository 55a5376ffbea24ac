import Devices

/// logits = W f, and the mean cross-entropy of the next token: some tokens at a time, as many as the device likes, so that the
/// logits of all tokens are never in memory together.
struct OutputLoss: Sendable {
  let head: Linear

  /// The sum of -ln p(target) over the tokens whose target is not -1.
  ///
  /// With `df`, also the gradient of scale * sum: df = W' dlogits, dW += dlogits f', where
  /// dlogits = scale * (softmax(logits) - onehot(target)).
  func run(
    _ f: Activations, targets: [Int32], scale: Float, _ parameters: Parameters, df: Activations?,
    losses: UnsafeMutableBufferPointer<Float>? = nil, logits kept: ((Activations) throws -> Void)? = nil,
    on device: any Device
  ) throws -> Double {
    let vocabulary = head.structure.shape.outputs, chunk = device.tokensOfLogits(vocabulary: vocabulary)
    let starts = stride(from: 0, to: f.tokens, by: chunk)
    return try device.withScratch(count: f.tokens) { each in
      for start in starts {
        let tokens = min(chunk, f.tokens - start)
        try device.withScratch(tokens: tokens, features: f.features) { part in
          try device.copyTokens(f, from: start, to: part)
          try device.withScratch(tokens: tokens, features: vocabulary) { logits in
            try head.forward(part, parameters, into: logits, on: device)
            try kept?(logits)
            try device.crossEntropy(
              logits, targets: Array(targets[start..<start + tokens]), scale: scale,
              into: each[start..<start + tokens])
            guard let df else { return }
            try device.withScratch(tokens: tokens, features: f.features) { dpart in
              try head.backward(logits, x: part, parameters, dx: dpart, on: device)
              try device.pasteTokens(dpart, to: df, at: start)
            }
          }
        }
      }
      // The one place where a device that runs ahead is waited for.
      let numbers = try device.numbers(each)
      precondition(losses.map { $0.count == numbers.count } ?? true)
      losses?.baseAddress?.update(from: numbers, count: numbers.count)
      return starts.reduce(0.0) { total, start in
        total + numbers[start..<min(start + chunk, f.tokens)].reduce(0.0) { $0 + Double($1) }
      }
    }
  }
}
