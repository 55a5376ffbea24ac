/// One named tensor of the model inside the flat vectors of values, gradients and moments.
public struct ParameterTensor: Sendable, Equatable {
  /// Hugging Face's name; a structured weight adds ".values.<tensor>".
  public let name: String
  public let shape: [Int]
  public let range: Range<Int>
  /// Multiplies the learning rate.
  public let learningRateScale: Double
  /// False for the norms' weights.
  public let decays: Bool
}
