import Arrays
import Foundation
import Testing

@testable import Tokenizers

/// Training by definition: count every pair anew before each merge.
private func slowMerges(_ text: [UInt8], vocabulary: Int) -> [[[UInt8]]] {
  var counts: [[[UInt8]]: Int] = [:]
  var start = 0
  text.withUnsafeBufferPointer { text in
    while start < text.count {
      let end = WordSplitter.gpt2.end(text, from: start)
      counts[text[start..<end].map { [$0] }, default: 0] += 1
      start = end
    }
  }
  var ages: [[UInt8]: Int] = [:]
  for byte in ByteAlphabet.order { ages[[byte]] = ages.count + 1 }
  var merges: [[[UInt8]]] = []
  while ages.count + 1 < vocabulary {
    var pairs: [[[UInt8]]: Int] = [:]
    for (word, count) in counts {
      for place in word.indices.dropLast() { pairs[[word[place], word[place + 1]], default: 0] += count }
    }
    let best = pairs.max { a, b in
      (a.value, -ages[a.key[0]]!, -ages[a.key[1]]!) < (b.value, -ages[b.key[0]]!, -ages[b.key[1]]!)
    }
    guard let best, best.value >= 2 else { break }
    merges.append(best.key)
    let whole = best.key[0] + best.key[1]
    if ages[whole] == nil { ages[whole] = ages.count + 1 }
    counts = counts.reduce(into: [:]) { all, entry in
      var word: [[UInt8]] = []
      var place = 0
      while place < entry.key.count {
        if place + 1 < entry.key.count, [entry.key[place], entry.key[place + 1]] == best.key {
          word.append(whole)
          place += 2
        } else {
          word.append(entry.key[place])
          place += 1
        }
      }
      all[word, default: 0] += entry.value
    }
  }
  return merges
}

@Suite struct PairTrainerTests {
  private func trained(_ text: [UInt8], vocabulary: Int) throws -> PairTrainer {
    var counts = WordCounts()
    counts.add(text)
    var trainer = try PairTrainer(counts, vocabulary: vocabulary)
    trainer.train { _ in }
    return trainer
  }

  @Test(
    "Merges are those of counting every pair anew each time",
    arguments: ["", "a", "aaaaaaaa aaaa aaa", "abababab abab", "the then them they there the the", "xyxyxy yxyx xx yy"])
  func definition(_ text: String) throws {
    let bytes = Array(text.utf8)
    let trainer = try trained(bytes, vocabulary: 300)
    let merges = trainer.merges.map { [trainer.pieces[Int($0.left)], trainer.pieces[Int($0.right)]] }
    #expect(merges == slowMerges(bytes, vocabulary: 300))
  }

  @Test("Merges of a real text are those of counting every pair anew each time")
  func definitionOnText() throws {
    let text = try TokenizerFixture.bytes("text.txt")
    let trainer = try trained(text, vocabulary: 400)
    let merges = trainer.merges.map { [trainer.pieces[Int($0.left)], trainer.pieces[Int($0.right)]] }
    #expect(trainer.pieces.count == 400 && merges == slowMerges(text, vocabulary: 400))
  }

  @Test("Hugging Face's trainer learns the same vocabulary and the same merges")
  func oracle() throws {
    let text = try TokenizerFixture.bytes("text.txt")
    // Their trainer was given the text line by line.
    var counts = WordCounts()
    for line in text.split(separator: 10) { counts.add(line + [10]) }
    var trainer = try PairTrainer(counts, vocabulary: 480)
    trainer.train { _ in }
    let mine = try TokenizerFile(BPEFileWriter.file(trainer), path: "trained").tokenizer
    let theirs = try TokenizerFile(TokenizerFixture.bytes("gpt2.tokenizer.json"), path: "gpt2").tokenizer
    #expect(mine.vocabularySize == 480 && theirs.vocabularySize == 480)
    for token in Int32(0)..<480 { #expect(try mine.decode([token]) == theirs.decode([token])) }
    for case let fixture in TokenizerFixture.all where fixture.name == "gpt2.tokenizer.json" {
      for (text, tokens) in zip(fixture.texts, fixture.tokens) where !text.starts(with: [0x3c]) {
        #expect(mine.encode(text) == tokens)
      }
    }
  }

  @Test("Texts counted in parts give the same file as in one")
  func deterministic() throws {
    let text = try TokenizerFixture.bytes("text.txt")
    var counts = WordCounts()
    let cut = text.firstIndex(of: 10)! + 1
    counts.add(Array(text[..<cut]))
    counts.add(Array(text[cut...]))
    var trainer = try PairTrainer(counts, vocabulary: 350)
    trainer.train { _ in }
    #expect(BPEFileWriter.file(trainer) == BPEFileWriter.file(try trained(text, vocabulary: 350)))
  }

  @Test("Fewer pieces than the bytes need are refused", arguments: [-1, 0, 256, 1 << 23])
  func refuses(_ vocabulary: Int) {
    let refusal = #expect(throws: Refusal.self) { try PairTrainer(WordCounts(), vocabulary: vocabulary) }
    #expect(refusal?.kind == .badInput && refusal?.sentence.contains("\(vocabulary)") == true)
  }
}
