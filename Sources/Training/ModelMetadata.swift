import Model

/// The metadata of a safetensors file with structured weights: what the names and shapes of its tensors do not say.
///
///     filigree.schema                the version of this layout
///     filigree.structure             label of the MLP's structure
///     filigree.structure.<weight>    label of one matrix that has another
package enum ModelMetadata {
  package static let schema = "filigree.model/1"
  private static let structureKey = "filigree.structure"

  package static func of(_ model: Mistral) -> [String: String] {
    var metadata = ["filigree.schema": schema, structureKey: model.structureLabel]
    for matrix in model.structuredMatrices where matrix.structure.label != model.structureLabel {
      metadata["\(structureKey).\(matrix.weight)"] = matrix.structure.label
    }
    return metadata
  }

  /// Nil where the file has no structured weights of this layout.
  package static func label(of weight: String, in metadata: [String: String]) -> String? {
    guard metadata["filigree.schema"] == schema else { return nil }
    return metadata["\(structureKey).\(weight)"] ?? metadata[structureKey]
  }
}
