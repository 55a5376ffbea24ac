import Fuzzing
import Testing

@Suite(.serialized) struct FuzzingTests {
  @Test("A parser gives a result or a refusal for every damaged input", arguments: FuzzTarget.all.map(\.name))
  func parses(_ name: String) throws {
    let target = try #require(FuzzTarget.all.first { $0.name == name })
    var accepted = 0
    for number in 0..<2000 { accepted += try target.run(number) ? 1 : 0 }
    // Some damage does no harm, and some does: else nothing was tried.
    #expect((0..<2000).contains(accepted))
  }

  @Test("The same number is the same input, and numbers make different ones")
  func deterministic() {
    for target in FuzzTarget.all {
      #expect(target.input(500) == target.input(500))
      #expect(Set((0..<100).map { target.input($0 + 10) }).count > 50)
    }
  }
}
