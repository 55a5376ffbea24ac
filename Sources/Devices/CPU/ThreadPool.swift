import Glibc
import Synchronization

/// Runs the tasks 0 ..< count on a fixed set of threads; workers spin briefly after a job, then sleep.
///
/// Which thread runs a task is left to chance; tasks write to places of their own and sum in an order of their own, so
/// the result never depends on the number of threads. One job at a time; a task must not start another job.
final class ThreadPool: @unchecked Sendable {
  /// generation (24 bits) | tasks (20 bits) | next task (20 bits): one word, so that a claim cannot mix two jobs.
  private let ticket = Atomic<UInt64>(0)
  private let finished = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  private let closing = Atomic<Bool>(false)
  private let job = Atomic<UnsafeMutableRawPointer?>(nil)
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let turn = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var workers: [pthread_t] = []

  /// Those that the system gave, the caller of `run` among them.
  var threads: Int { workers.count + 1 }

  /// What a new thread is told: whom it serves, and its number. The caller of `run` is worker 0.
  private final class Post {
    unowned(unsafe) let pool: ThreadPool
    let worker: Int

    init(pool: ThreadPool, worker: Int) {
      self.pool = pool
      self.worker = worker
    }
  }

  private static let most = (1 << 20) - 1
  private static let spins = 4000

  init(threads: Int) {
    precondition(threads >= 1)
    pthread_mutex_init(lock, nil)
    pthread_cond_init(wake, nil)
    pthread_mutex_init(turn, nil)
    for worker in 1..<max(threads, 1) {
      var thread = pthread_t()
      let post = Unmanaged.passRetained(Post(pool: self, worker: worker))
      if pthread_create(&thread, nil, { ThreadPool.serve($0) }, post.toOpaque()) == 0 {
        workers.append(thread)
      } else {
        post.release()
      }
    }
  }

  deinit {
    closing.store(true, ordering: .sequentiallyConsistent)
    pthread_mutex_lock(lock)
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(lock)
    for worker in workers { pthread_join(worker, nil) }
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(wake)
    pthread_mutex_destroy(turn)
    lock.deallocate()
    wake.deallocate()
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
      withUnsafeMutablePointer(to: &body) { pointer in
        finished.store(0, ordering: .relaxed)
        job.store(UnsafeMutableRawPointer(pointer), ordering: .relaxed)
        let generation = ((ticket.load(ordering: .relaxed) >> 40) + 1) & 0xff_ffff
        ticket.store(generation << 40 | UInt64(count) << 20, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
          pthread_mutex_lock(lock)
          pthread_cond_broadcast(wake)
          pthread_mutex_unlock(lock)
        }
        work(as: 0)
        var patience = 0
        while finished.load(ordering: .acquiring) < count {
          patience += 1
          if patience > ThreadPool.spins { sched_yield() }
        }
      }
    }
  }

  /// Claims tasks until there are none.
  private func work(as worker: Int) {
    while true {
      let seen = ticket.load(ordering: .acquiring)
      guard hasTask(seen) else { return }
      guard ticket.compareExchange(expected: seen, desired: seen + 1, ordering: .acquiringAndReleasing).exchanged
      else { continue }
      // The claim keeps the job alive: run() returns only when this task is counted.
      let body = job.load(ordering: .acquiring)!.assumingMemoryBound(to: ((Int, Int) -> Void).self)
      body.pointee(Int(seen & 0xf_ffff), worker)
      finished.add(1, ordering: .releasing)
    }
  }

  private func hasTask(_ ticket: UInt64) -> Bool { ticket & 0xf_ffff < (ticket >> 20) & 0xf_ffff }

  private static func serve(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let post = Unmanaged<Post>.fromOpaque(context!).takeRetainedValue()
    let pool = post.pool
    var idle = 0
    while !pool.closing.load(ordering: .relaxed) {
      if pool.hasTask(pool.ticket.load(ordering: .acquiring)) {
        pool.work(as: post.worker)
        idle = 0
      } else if idle < spins {
        idle += 1
      } else {
        pool.sleep()
        idle = 0
      }
    }
    return nil
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
