import Glibc

/// Another program's first words, had within a deadline or not at all.
enum BriefCommand {
  /// What `arguments` (the program first, found on PATH) writes to standard output, at most `limit` bytes of it; nil
  /// when it cannot be started, fails, or is not done by `deadline` (of ``Clock``), when it is killed with what it
  /// started. A program that writes more than `limit` is stopped there and counts as done.
  ///
  /// Its standard input and error are empty; `environment` is its whole environment.
  static func output(
    _ arguments: [String], environment: [String: String], deadline: Double, limit: Int = 4096
  ) -> String? {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return nil }
    defer { close(ends[0]) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let started = start(arguments, environment: environment, output: ends[1])
    close(ends[1])
    guard let child = started else { return nil }

    let bytes = read(ends[0], deadline: deadline, limit: limit)
    var cutShort = bytes == nil || bytes?.count == limit
    var status: Int32 = 0
    if !cutShort {
      // A program may close its standard output and go on: it too has until the deadline.
      while !cutShort && waitpid(child, &status, WNOHANG) == 0 {
        usleep(500)
        cutShort = Clock.seconds() >= deadline
      }
    }
    if cutShort {
      kill(-child, SIGKILL)
      while waitpid(child, &status, 0) < 0 && errno == EINTR {}
      return bytes?.count == limit ? bytes.map { String(decoding: $0, as: UTF8.self) } : nil
    }
    return status == 0 ? bytes.map { String(decoding: $0, as: UTF8.self) } : nil
  }

  /// The process, leader of a group of its own; nil when the program is not there.
  private static func start(_ arguments: [String], environment: [String: String], output: Int32) -> pid_t? {
    var files = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&files)
    defer { posix_spawn_file_actions_destroy(&files) }
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&files, output, 1)
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A thread that blocks signals would hand its mask down.
    var unblocked = sigset_t()
    sigemptyset(&unblocked)
    posix_spawnattr_setsigmask(&attributes, &unblocked)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))

    var words = arguments.map { strdup($0) } + [nil]
    var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in words + variables { free(pointer) } }
    var child: pid_t = 0
    guard let program = arguments.first else { return nil }
    return posix_spawnp(&child, program, &files, &attributes, &words, &variables) == 0 ? child : nil
  }

  /// All bytes up to the end or up to `limit`; nil when neither comes by the deadline.
  private static func read(_ file: Int32, deadline: Double, limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while bytes.count < limit {
      let left = deadline - Clock.seconds()
      guard left > 0 else { return nil }
      var waiting = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
      let ready = poll(&waiting, 1, Int32(min(left * 1000, 60_000)) + 1)
      if ready <= 0 { continue }
      let count = Glibc.read(file, &chunk, min(chunk.count, limit - bytes.count))
      if count < 0 && errno == EINTR { continue }
      if count < 0 { return nil }
      if count == 0 { return bytes }
      bytes.append(contentsOf: chunk[0..<count])
    }
    return bytes
  }
}
