import Arrays
import Foundation
import Testing
import Training

@Suite("Corpus")
struct CorpusTests {
  private func bytes(_ stream: TokenStream) throws -> [UInt8] {
    try stream.tokens(0..<stream.count).map { UInt8($0) }
  }

  @Test("k bytes equally frequent have unigram entropy ln k, one byte has 0", arguments: [1, 2, 7, 256])
  func uniformEntropy(kinds: Int) throws {
    let training = (0..<kinds * 3).map { UInt8($0 % kinds) }
    let corpus = try Corpus(name: "made", training: training, validation: [0, 0], sequence: 1)
    // A sum of k terms, each with four roundings, errs by at most gamma_(k + 4) times its value.
    let bound = Double(kinds + 4) * 0x1p-53 * log(Double(kinds))
    #expect(abs(corpus.unigramEntropy - log(Double(kinds))) <= 1.01 * bound)
  }

  @Test("the generated corpus has the sizes asked for, a floor, and parts that differ; the same seed gives the same")
  func generated() throws {
    let corpus = try Corpus.generated(seed: 5, sequence: 64, trainingBytes: 3000, validationBytes: 700)
    #expect(corpus.training.count == 3000 && corpus.validation.count == 700)
    #expect(try bytes(corpus.validation) != Array(bytes(corpus.training)[..<700]))
    #expect(corpus.entropyRate == GeneratedCorpus(seed: 5).entropyRate)
    #expect(corpus.name == "generated (seed 5)" && corpus.trainingCounts == nil)
    let again = try Corpus.generated(seed: 5, sequence: 64, trainingBytes: 3000, validationBytes: 700)
    #expect(again.training == corpus.training && again.validation == corpus.validation)
  }

  @Test("without validation paths the two parts are the whole text, cut where a line begins")
  func holdsOut() throws {
    let folder = try TemporaryFolder()
    let lines = (0..<1000).map { "line \($0) of the text\n" }.joined()
    let path = try folder.write("text", lines)
    let corpus = try Corpus.files(data: [path], sequence: 32)
    #expect(try bytes(corpus.training) + bytes(corpus.validation) == Array(lines.utf8))
    #expect(try bytes(corpus.training).last == UInt8(ascii: "\n"))
    #expect(corpus.validation.count <= lines.utf8.count / 20)
    #expect(corpus.validation.count > lines.utf8.count / 20 - 30)
    #expect(corpus.name == path && corpus.entropyRate == nil && corpus.trainingCounts?.files == 1)
  }

  @Test("with validation paths each part is its own text, whole")
  func separateValidation() throws {
    let folder = try TemporaryFolder()
    let data = [try folder.write("a", "first text"), try folder.write("b", "second text")]
    let corpus = try Corpus.files(data: data, validation: [try folder.write("v", "held out\r\n")], sequence: 4)
    #expect(String(decoding: try bytes(corpus.training), as: UTF8.self) == "first text\nsecond text")
    #expect(String(decoding: try bytes(corpus.validation), as: UTF8.self) == "held out\n")
    #expect(corpus.validationCounts?.lineEndsChanged == 1 && corpus.name == data.joined(separator: ", "))
  }

  @Test("what is held out stays within its bounds, begins a character, and leaves either part a window")
  func holdoutBounds() throws {
    var generator = SeededGenerator(seed: 2, "holdout")
    let pieces = ["a", "é", "€", "𝄞", "\n"].map { Array($0.utf8) }
    for trial in 0..<400 {
      var text: [UInt8] = []
      let kinds = trial % 2 == 0 ? 5 : 4
      for _ in 0..<40 + generator.index(below: 2000) { text += pieces[generator.index(below: kinds)] }
      let sequence = 1 + generator.index(below: text.count / 2 - 1)
      let cut = try Corpus.holdoutStart(text, sequence: sequence, name: "made")
      let held = text.count - cut
      #expect(cut > sequence && held > sequence)
      #expect(held <= max(sequence + 1, text.count / 20))
      if max(sequence + 1, text.count / 40) + 4 < text.count / 20 {
        #expect(text[cut] & 0xc0 != 0x80)
        #expect(held >= text.count / 40)
      }
    }
  }

  @Test("of a large text two million bytes are held out, no more")
  func largestHoldout() throws {
    var text = [UInt8](repeating: 0x61, count: 60_000_000)
    for place in [57_999_998, 58_000_099, 58_000_200] { text[place] = UInt8(ascii: "\n") }
    #expect(try Corpus.holdoutStart(text, sequence: 128, name: "large") == 58_000_100)
    text[57_999_999] = UInt8(ascii: "\n")
    #expect(try Corpus.holdoutStart(text, sequence: 128, name: "large") == 58_000_000)
    #expect(try Corpus.holdoutStart(text, sequence: 3_000_000, name: "large") == 60_000_000 - 3_000_001)
  }

  @Test("texts too short for a window in either part, and no text at all, are refused")
  func refusals() throws {
    let folder = try TemporaryFolder()
    let short = try folder.write("short", "sixteen bytes...")
    let long = try folder.write("long", String(repeating: "a line\n", count: 9))
    func refusal(_ data: [String], _ validation: [String], _ sequence: Int) -> Refusal? {
      #expect(throws: Refusal.self) { try Corpus.files(data: data, validation: validation, sequence: sequence) }
    }
    #expect(try Corpus.files(data: [short], sequence: 7).validation.count == 8)
    #expect(try Corpus.files(data: [short], validation: [long], sequence: 15).training.count == 16)
    let cases: [([String], [String], Int)] = [
      ([short], [], 8), ([short], [long], 16), ([long], [short], 16), ([long], [], Int.max), ([long], [], 0),
      ([long], [short], -1), ([], [], 4), ([long], [folder["missing"]], 4),
    ]
    for (data, validation, sequence) in cases {
      #expect(refusal(data, validation, sequence)?.kind == .badInput)
    }
    #expect(try #require(refusal([short], [long], 16)).sentence.contains("has 16 bytes"))
  }
}
