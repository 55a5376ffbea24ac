import Arrays
import Glibc

/// The first usable library of a family, and why those before it were not.
struct DenseSearch: Sendable {
  let family: DenseFamily
  let library: DenseLibrary?
  /// "path: reason" of the files that are there and not usable.
  let rejected: [String]

  init(_ family: DenseFamily, environment: [String: String]) {
    self.family = family
    var rejected: [String] = []
    var found: DenseLibrary?
    for path in family.candidates(environment: environment) {
      let isBareName = !path.contains("/")
      guard isBareName || access(path, R_OK) == 0 else { continue }
      guard var opened = OpenedLibrary(path) else {
        // A bare name that the loader cannot find is the usual absence.
        if !isBareName { rejected.append(OpenedLibrary.reason()) }
        continue
      }
      if family == .openblas { opened = KernelChoice.widened(opened, environment) }
      do {
        let symbols = try DenseSymbols(family, library: opened)
        found = DenseLibrary(
          family: family, version: DenseFamily.version(in: symbols.banner), path: symbols.path,
          kernels: opened.call("openblas_get_corename"), symbols: symbols)
        break
      } catch {
        rejected.append("\(path) \(error.reason)")
      }
    }
    library = found
    self.rejected = rejected
  }

  /// For one who asked for this library by name.
  var refusal: Refusal {
    let cause = rejected.first.map { " (\($0))" } ?? ""
    return .missing(
      "the dense library \(family.rawValue) is not usable on this machine\(cause): \(family.installation)")
  }
}
