// One block-sparse layer, trained to imitate another: the ten lines that another package needs.
import Filigree

let teacher = try StructuredLayer("bsr-16", outputs: 64, inputs: 96, density: 0.25, seed: 1)
let student = try StructuredLayer("bsr-16", outputs: 64, inputs: 96, density: 0.25, seed: 1)
try student.setWeights([Float](repeating: 0, count: student.structure.count))

var generator = SeededGenerator(seed: 7)
for step in 0..<40 {
  let x = (0..<32 * 96).map { _ in Float(generator.normal()) }
  let error = zip(try student.forward(x), try teacher.forward(x)).map { $0 - $1 }
  _ = try student.backward(error)
  let rate: Float = 0.5 / 32
  try student.setWeights(zip(student.weights, student.weightGradients).map { $0 - rate * $1 })
  try student.clearGradients()
  let loss = error.reduce(0) { $0 + $1 * $1 } / Float(error.count)
  if step % 10 == 0 || step == 39 { print("step \(step): mean squared error \(loss)") }
}
