import Arrays
import Glibc

extension Refusal {
  /// Bad input where another path would do, else failed.
  package static func kind(of code: Int32) -> Kind {
    let pathErrors = [EACCES, EPERM, EROFS, ENOENT, ENOTDIR, EISDIR, EEXIST, ENAMETOOLONG, ELOOP]
    return pathErrors.contains(code) ? .badInput : .failed
  }

  /// "cannot <action> <path>: <what the system says>; <what to do>".
  package static func system(_ kind: Kind, cannot action: String, _ path: String, _ code: Int32 = errno) -> Refusal {
    let remedy =
      switch code {
      case ENOSPC, EDQUOT, EFBIG: "free some space and run the same command again; train goes on with --resume"
      case EACCES, EPERM, EROFS: "choose a place that you may use, or change its permissions"
      case ENOENT: "check that the path is right and that its folder exists"
      case ENOTDIR, EISDIR, EEXIST, ENOTEMPTY: "choose another path, or move away what is there"
      case ENAMETOOLONG: "choose a shorter name"
      case EMFILE, ENFILE: "close some files or raise the limit (ulimit -n)"
      default: "check the path and the disk"
      }
    return Refusal(kind, "cannot \(action) \(path): \(String(cString: strerror(code))); \(remedy)")
  }
}
