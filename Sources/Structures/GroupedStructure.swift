/// A family whose label is a number of groups, which must divide both sides; other shapes are padded.
protocol GroupedStructure: Structure {}

extension GroupedStructure {
  public static func paddedShape(parameters: String, shape: Shape) throws -> Shape {
    let groups = try positive(parameters)
    return shape.rounded(outputs: groups, inputs: groups)
  }

  /// The number of groups out of a label.
  static func groups(_ parameters: String, _ shape: Shape) throws -> Int {
    let groups = try positive(parameters)
    guard shape.outputs.isMultiple(of: groups), shape.inputs.isMultiple(of: groups) else {
      throw refusal(parameters, shape, "\(groups) groups do not divide both sides; choose a common divisor")
    }
    return groups
  }
}

extension Shape {
  /// The numbers that divide both sides, ascending.
  var commonDivisors: [Int] {
    (1...min(outputs, inputs)).filter { outputs.isMultiple(of: $0) && inputs.isMultiple(of: $0) }
  }
}
