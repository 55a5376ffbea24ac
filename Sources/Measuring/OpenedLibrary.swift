import Glibc

/// A dynamic library, opened for good unless ``close()`` is called before anybody has used it.
struct OpenedLibrary: @unchecked Sendable {
  let path: String
  private let handle: UnsafeMutableRawPointer

  /// Opens with all symbols resolved, seen by nobody else, and sought in the library itself before the rest of the
  /// process. Nil when the loader cannot, and ``reason()`` then says why.
  ///
  /// - `shared`: seen by libraries opened later, for run-time libraries that others need.
  init?(_ path: String, shared: Bool = false) {
    // A sanitizer's run time ends the process on libraries that look in themselves first.
    let sanitized = ["__asan_init", "__tsan_init", "__msan_init"].contains { (name: String) in dlsym(nil, name) != nil }
    let deepBind: Int32 = sanitized || shared ? 0 : 8
    _ = dlerror()
    guard let handle = dlopen(path, RTLD_NOW | (shared ? RTLD_GLOBAL : RTLD_LOCAL) | deepBind) else { return nil }
    self.path = path
    self.handle = handle
  }

  /// Why the last attempt on this thread failed.
  static func reason() -> String {
    dlerror().map { SystemFile.printable(String(cString: $0)) } ?? "it cannot be opened"
  }

  /// No symbol of it may be in use.
  func close() { dlclose(handle) }

  func symbol(_ name: String) -> UnsafeMutableRawPointer? { dlsym(handle, name) }

  /// The text that a C function without arguments returns; nil without the function or the text.
  func call(_ name: String) -> String? {
    guard let symbol = symbol(name) else { return nil }
    let text = unsafeBitCast(symbol, to: (@convention(c) () -> UnsafePointer<CChar>?).self)()
    return text.map { SystemFile.printable(String(cString: $0)) }
  }

  /// The file that holds an address, symbolic links followed; nil when the loader does not know.
  static func file(of address: UnsafeRawPointer) -> String? {
    typealias Look = @convention(c) (UnsafeRawPointer, UnsafeMutablePointer<UnsafePointer<CChar>?>) -> Int32
    // Not in the Glibc module. It fills in four pointers, of which the first is the file's name.
    guard let look = dlsym(nil, "dladdr") else { return nil }
    var found = [UnsafePointer<CChar>?](repeating: nil, count: 4)
    guard unsafeBitCast(look, to: Look.self)(address, &found) != 0, let name = found[0] else { return nil }
    guard let resolved = realpath(name, nil) else { return String(cString: name) }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
