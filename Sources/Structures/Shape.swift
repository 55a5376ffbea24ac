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

  /// The least shape around this one whose sides are multiples of the two numbers.
  func rounded(outputs: Int, inputs: Int) -> Shape {
    Shape(
      outputs: (self.outputs + outputs - 1) / outputs * outputs, inputs: (self.inputs + inputs - 1) / inputs * inputs)
  }

  /// "3072x768": outputs by inputs.
  public var description: String { "\(outputs)x\(inputs)" }
}
