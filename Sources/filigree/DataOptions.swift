import ArgumentParser
import Training

/// How texts are read.
struct DataOptions: ParsableArguments {
  @Option(help: "The field of JSON lines (.jsonl, .ndjson) that holds the text.") var textField = "text"
  @Flag(help: "Replace bytes that are not UTF-8 by U+FFFD, instead of refusing the file.") var replaceInvalid = false

  var reading: TextFiles.Options {
    var options = TextFiles.Options()
    options.field = textField
    options.replacesInvalid = replaceInvalid
    return options
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
