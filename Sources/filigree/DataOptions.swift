import ArgumentParser
import Arrays
import Foundation
import Records
import Tokenizers
import Training

/// How texts are read.
struct DataOptions: ParsableArguments {
  @Option(help: "The field of JSON lines (.jsonl, .ndjson) that holds the text.") var textField = "text"
  @Flag(help: "Replace bytes that are not UTF-8 by U+FFFD, instead of refusing the file.") var replaceInvalid = false

  @Flag(
    inversion: .prefixedNo,
    help:
      "Each file or JSON line as a text of its own with an end token behind it; evaluate: as the run has it."
  )
  var documentEnds: Bool?

  var reading: TextFiles.Options {
    var options = TextFiles.Options()
    options.field = textField
    options.replacesInvalid = replaceInvalid
    options.marksDocuments = documentEnds ?? true
    return options
  }

  /// The text of `data`, or the generated one where there is none; reading and what it met are told.
  func corpus(
    data: [String], validation: [String], sequence: Int, tokenizer: any Tokenizer, _ global: GlobalOptions
  ) throws -> Corpus {
    guard !data.isEmpty else {
      return try Corpus.generated(seed: global.seed, sequence: sequence, tokenizer: tokenizer)
    }
    var progress: ProgressLine?
    defer { progress?.end() }
    let corpus = try Corpus.files(
      data: data, validation: validation, sequence: sequence, tokenizer: tokenizer, options: reading
    ) { done, total in
      if progress == nil { progress = ProgressLine("tokenize", total: total, quiet: global.quiet, patience: 1) }
      progress?.show(done, "bytes")
    }
    for counts in [corpus.trainingCounts, corpus.validationCounts] {
      for remark in DataOptions.remarks(counts) { global.remark(remark) }
    }
    return corpus
  }

  /// What reading met that a person should know.
  static func remarks(_ counts: TextFiles.Counts?) -> [String] {
    guard let counts else { return [] }
    var parts: [String] = []
    func add(_ count: Int, _ what: String) { if count > 0 { parts.append("\(count) \(what)") } }
    add(counts.byteOrderMarks, "byte-order marks dropped")
    add(counts.lineEndsChanged, "line ends made LF")
    add(counts.newlinesAdded, "newlines put between files")
    add(counts.bytesReplaced, "bytes that were not UTF-8 replaced")
    add(counts.emptyFilesSkipped, "empty files passed over")
    add(counts.repeatedFilesSkipped, "files met before passed over")
    add(counts.documents, "documents of JSON lines")
    return parts.isEmpty ? [] : ["of \(counts.files) files: \(parts.joined(separator: ", "))"]
  }
}

extension TokenizerFile {
  /// A run holds the tokenizer that its tokens are of, so that it can be evaluated, generated from and exported.
  func keep(in folder: URL) throws {
    guard !RunFolder(folder).exists else { return }
    try AtomicFile.makeFolder(folder)
    try AtomicFile.write(bytes, to: folder.appendingPathComponent(usualName))
  }
}
