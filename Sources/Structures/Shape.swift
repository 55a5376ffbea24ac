/// The shape of a weight matrix W : [O, I], as in y = W x.
public struct Shape: Sendable, Hashable, CustomStringConvertible {
  public let outputs: Int
  public let inputs: Int

  public init(outputs: Int, inputs: Int) {
    precondition(outputs > 0 && inputs > 0)
    self.outputs = outputs
    self.inputs = inputs
  }

  /// Weights of a dense matrix of this shape.
  public var count: Int { outputs * inputs }

  /// "3072x768": outputs by inputs.
  public var description: String { "\(outputs)x\(inputs)" }
}
