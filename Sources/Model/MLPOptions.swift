import Arrays

/// What a model's MLPs have beside a structure and a density.
public struct MLPOptions: Sendable, Equatable {
  /// Layers at the beginning and at the end whose MLP stays dense.
  public var denseFirst: Int
  public var denseLast: Int
  public var rateRule: RateRule

  /// The label of the control: a dense MLP of fewer hidden units.
  public static let narrow = "narrow"

  public init(denseFirst: Int = 0, denseLast: Int = 0, rateRule: RateRule = .published) {
    self.denseFirst = denseFirst
    self.denseLast = denseLast
    self.rateRule = rateRule
  }

  func keepsDense(layer: Int, of layers: Int) -> Bool { layer < denseFirst || layer >= layers - denseLast }

  func check(layers: Int) throws {
    guard denseFirst >= 0, denseLast >= 0, denseFirst <= layers, denseLast <= layers else {
      throw Refusal.badInput(
        "--dense-first \(denseFirst) and --dense-last \(denseLast) are not from 0 to the model's \(layers) layers")
    }
  }

  /// floor(density x hidden units): as many MLP parameters as a structure of that density, or a little fewer.
  static func narrowed(_ architecture: Architecture, density: Double) throws -> Architecture {
    let width = density > 0 && density <= 1 ? Int(density * Double(architecture.intermediateSize)) : 0
    guard width >= 1 else {
      throw Refusal.badInput(
        "narrow at density \(density) leaves none of \(architecture.intermediateSize) hidden units; ask for more")
    }
    var narrowed = architecture
    narrowed.intermediateSize = width
    return narrowed
  }
}
