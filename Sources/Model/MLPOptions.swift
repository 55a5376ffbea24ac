import Arrays
import Structures

/// What a model's MLPs have beside a structure and a density.
public struct MLPOptions: Sendable, Equatable {
  /// Layers at the beginning and at the end whose MLP stays dense.
  public var denseFirst: Int
  public var denseLast: Int
  public var rateRule: RateRule
  /// Shared by default: drawn apart, masks of large blocks remove most hidden units in silence.
  public var masks: GatedMLP.Masks
  /// Of the matrices whose structure has it; the others keep the variance.
  public var initialization: Initialization

  public init(
    denseFirst: Int = 0, denseLast: Int = 0, rateRule: RateRule = .published, masks: GatedMLP.Masks = .shared,
    initialization: Initialization = .variance
  ) {
    self.denseFirst = denseFirst
    self.denseLast = denseLast
    self.rateRule = rateRule
    self.masks = masks
    self.initialization = initialization
  }

  func keepsDense(layer: Int, of layers: Int) -> Bool { layer < denseFirst || layer >= layers - denseLast }

  func check(layers: Int) throws {
    guard denseFirst >= 0, denseLast >= 0, denseFirst <= layers, denseLast <= layers else {
      throw Refusal.badInput(
        "--dense-first \(denseFirst) and --dense-last \(denseLast) are not from 0 to the model's \(layers) layers")
    }
  }
}
