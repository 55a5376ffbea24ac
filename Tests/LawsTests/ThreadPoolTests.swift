import Testing

@testable import Devices

@Suite struct ThreadPoolTests {
  @Test("A pool ends with the device that used it, however early its workers began", arguments: [2, 3, 7])
  func ends(threads: Int) throws {
    for _ in 0..<20 {
      weak var pool: ThreadPool?
      do {
        let device = try CPUDevice(threads: threads)
        pool = device.pool
        // Enough tasks for every worker to have begun.
        device.pool.run(1000) { _ in }
        #expect(pool != nil)
      }
      #expect(pool == nil)
    }
  }
}
