/// Counts the words of a text that comes in pieces cut anywhere: what a cut may have torn waits for the next piece.
package struct WordParts {
  package private(set) var counts = WordCounts()
  package private(set) var bytes = 0
  private var waiting: [UInt8] = []

  package init() {}

  package mutating func add(_ piece: UnsafeRawBufferPointer) {
    bytes += piece.count
    waiting.append(contentsOf: piece)
    guard let cut = BPETokenizer.wordBoundary(waiting) else { return }
    counts.add(Array(waiting[..<cut]))
    waiting.removeFirst(cut)
  }

  package mutating func finish() {
    counts.add(waiting)
    waiting = []
  }
}
