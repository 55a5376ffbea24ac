// A structure from outside the package, timed and trained like those of the catalog: docs/Tutorial.md.
import Filigree
import Foundation

try Catalog.add(PermutedDiagonal.self)

for record in try Trial.bench("permuted", outputs: 512, inputs: 128, tokens: 64, density: 0.1) {
  print(record.pass, "verified:", record.verified, "density:", record.density)
}

let folder = FileManager.default.temporaryDirectory.appendingPathComponent("your-structure-\(UUID().uuidString)")
defer { try? FileManager.default.removeItem(at: folder) }
let metrics = try Trial.train("permuted", density: 0.25, steps: 12, folder: folder)
for metric in metrics { if let loss = metric.validationLoss { print("step \(metric.step): validation loss \(loss)") } }
