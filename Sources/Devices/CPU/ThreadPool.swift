import CKernels
import Glibc
import Synchronization

/// Runs the tasks 0 ..< count on a fixed set of threads; workers spin briefly after a job, then sleep.
///
/// Which thread runs a task is left to chance; tasks write to places of their own and sum in an order of their own, so
/// the result never depends on the number of threads. One job at a time; a task must not start another job.
final class ThreadPool: @unchecked Sendable {
  private let board: JobBoard
  private let turn = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var workers: [pthread_t] = []

  /// Those that the system gave, the caller of `run` among them.
  var threads: Int { workers.count + 1 }

  /// What a new thread is told: the board that it serves, and its number. The caller of `run` is worker 0.
  private final class Post {
    let board: JobBoard
    let worker: Int

    init(board: JobBoard, worker: Int) {
      self.board = board
      self.worker = worker
    }
  }

  private static let most = (1 << 20) - 1

  init(threads: Int) {
    precondition(threads >= 1)
    board = JobBoard(patience: threads <= Int(fg_cores()) ? .microseconds(200) : .zero)
    pthread_mutex_init(turn, nil)
    for worker in 1..<max(threads, 1) {
      var thread = pthread_t()
      let post = Unmanaged.passRetained(Post(board: board, worker: worker))
      let serve: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
        let post = Unmanaged<Post>.fromOpaque(context!).takeRetainedValue()
        post.board.serve(as: post.worker)
        return nil
      }
      if pthread_create(&thread, nil, serve, post.toOpaque()) == 0 {
        workers.append(thread)
      } else {
        post.release()
      }
    }
  }

  // A worker holds the board and never the pool: the pool ends with its last user, and its workers with it.
  deinit {
    board.close()
    for worker in workers { pthread_join(worker, nil) }
    pthread_mutex_destroy(turn)
    turn.deallocate()
  }

  func run(_ count: Int, _ task: (Int) -> Void) {
    run(count) { index, _ in task(index) }
  }

  /// `task` gets its index and the number of the worker that runs it, which names that worker's scratch memory.
  func run(_ count: Int, _ task: (_ index: Int, _ worker: Int) -> Void) {
    if workers.isEmpty || count <= 1 {
      for index in 0..<count { task(index, 0) }
      return
    }
    if count > ThreadPool.most {
      for first in stride(from: 0, to: count, by: ThreadPool.most) {
        run(min(ThreadPool.most, count - first)) { task($0 + first, $1) }
      }
      return
    }
    pthread_mutex_lock(turn)
    defer { pthread_mutex_unlock(turn) }
    withoutActuallyEscaping(task) { task in
      var body = task
      withUnsafeMutablePointer(to: &body) { board.finish(count, UnsafeMutableRawPointer($0)) }
    }
  }
}

/// The job of a pool, its workers' waiting and waking.
private final class JobBoard: @unchecked Sendable {
  /// generation (24 bits) | tasks (20 bits) | next task (20 bits): one word, so that a claim cannot mix two jobs.
  private let ticket = Atomic<UInt64>(0)
  private let finished = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  private let closing = Atomic<Bool>(false)
  private let job = Atomic<UnsafeMutableRawPointer?>(nil)
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  /// How long a worker waits awake: a model's products follow one another within microseconds, and waking a sleeper takes some
  /// fifty. With more threads than cores it would wait on another's core.
  private let patience: Duration
  private static let spinsPerLook = 64

  init(patience: Duration) {
    self.patience = patience
    pthread_mutex_init(lock, nil)
    pthread_cond_init(wake, nil)
  }

  deinit {
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(wake)
    lock.deallocate()
    wake.deallocate()
  }

  /// Ends the workers once they have no task.
  func close() {
    closing.store(true, ordering: .sequentiallyConsistent)
    wakeAll()
  }

  private func wakeAll() {
    pthread_mutex_lock(lock)
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(lock)
  }

  /// Puts up a job of `count` tasks, a pointer to a `(Int, Int) -> Void`, and returns when all are done.
  func finish(_ count: Int, _ body: UnsafeMutableRawPointer) {
    finished.store(0, ordering: .relaxed)
    job.store(body, ordering: .relaxed)
    let generation = ((ticket.load(ordering: .relaxed) >> 40) + 1) & 0xff_ffff
    ticket.store(generation << 40 | UInt64(count) << 20, ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 { wakeAll() }
    work(as: 0)
    var spins = 0
    while finished.load(ordering: .acquiring) < count {
      spins += 1
      if spins > JobBoard.spinsPerLook { sched_yield() } else { fg_pause() }
    }
  }

  /// Claims tasks until there are none.
  private func work(as worker: Int) {
    while true {
      let seen = ticket.load(ordering: .acquiring)
      guard hasTask(seen) else { return }
      guard ticket.compareExchange(expected: seen, desired: seen + 1, ordering: .acquiringAndReleasing).exchanged
      else { continue }
      // The claim keeps the job alive: finish() returns only when this task is counted.
      let body = job.load(ordering: .acquiring)!.assumingMemoryBound(to: ((Int, Int) -> Void).self)
      body.pointee(Int(seen & 0xf_ffff), worker)
      finished.add(1, ordering: .releasing)
    }
  }

  private func hasTask(_ ticket: UInt64) -> Bool { ticket & 0xf_ffff < (ticket >> 20) & 0xf_ffff }

  /// What a worker does until the pool ends.
  func serve(as worker: Int) {
    let clock = ContinuousClock()
    while !closing.load(ordering: .relaxed) {
      work(as: worker)
      let since = clock.now
      repeat {
        for _ in 0..<JobBoard.spinsPerLook where !hasTask(ticket.load(ordering: .acquiring)) { fg_pause() }
      } while !hasTask(ticket.load(ordering: .acquiring)) && since.duration(to: clock.now) < patience
      if !hasTask(ticket.load(ordering: .acquiring)) { sleep() }
    }
  }

  private func sleep() {
    pthread_mutex_lock(lock)
    sleepers.add(1, ordering: .sequentiallyConsistent)
    while !hasTask(ticket.load(ordering: .sequentiallyConsistent)) && !closing.load(ordering: .sequentiallyConsistent) {
      pthread_cond_wait(wake, lock)
    }
    sleepers.subtract(1, ordering: .sequentiallyConsistent)
    pthread_mutex_unlock(lock)
  }
}
