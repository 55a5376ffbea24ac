import Synchronization

/// The bf16 copies of weights, in their order, in pieces, or packed or compressed for a pattern, and whether the weights have changed since.
///
/// Every write to a vector marks its allocation; a copy is stale once its allocation was marked after it was made.
final class CUDAShadows: @unchecked Sendable {
  enum Form: Hashable {
    case narrow, packed, packedTransposed, pieces, compressed, compressedTransposed
  }

  private struct Key: Hashable {
    let offset: Int
    let count: Int
    let form: Form
  }

  private struct Entry {
    let buffer: Buffer
    /// The serial number of the table that it is packed by.
    let table: Int
    var madeAt: Int
  }

  private struct State: @unchecked Sendable {
    var entries: [UnsafeMutableRawPointer: [Key: Entry]] = [:]
    var writtenAt: [UnsafeMutableRawPointer: Int] = [:]
    var clock = 1
  }

  private let state = Mutex(State())

  func wrote(_ vector: Vector) {
    state.withLock {
      $0.clock += 1
      $0.writtenAt[vector.buffer.address] = $0.clock
    }
  }

  /// The copy's buffer; where it is stale, the caller fills it before anything else is asked of the device. A copy that was
  /// packed by another table goes: patterns that change leave one copy, not one for each.
  func shadow(
    of values: Vector, _ form: Form = .narrow, for table: Int = 0, _ make: () throws -> Buffer
  ) throws -> (buffer: Buffer, isStale: Bool) {
    let base = values.buffer.address
    let key = Key(offset: values.offset, count: values.count, form: form)
    let found = state.withLock { state -> (Buffer, Bool)? in
      guard var entry = state.entries[base]?[key], entry.table == table else { return nil }
      let stale = entry.madeAt < state.writtenAt[base, default: 0]
      entry.madeAt = state.clock
      state.entries[base]?[key] = entry
      return (entry.buffer, stale)
    }
    if let found { return found }
    // Made and given back outside the lock: both come back here.
    let gone = state.withLock { $0.entries[base]?.removeValue(forKey: key) }
    withExtendedLifetime(gone) {}
    let buffer = try make()
    state.withLock { $0.entries[base, default: [:]][key] = Entry(buffer: buffer, table: table, madeAt: $0.clock) }
    return (buffer, true)
  }

  /// The allocation is gone, and its address may come again.
  func forget(_ base: UnsafeMutableRawPointer) {
    // Buffers are released outside the lock: their release comes back here.
    let gone: [Buffer] = state.withLock { state in
      state.writtenAt[base] = nil
      return state.entries.removeValue(forKey: base).map { $0.values.map(\.buffer) } ?? []
    }
    withExtendedLifetime(gone) {}
  }

  /// Gives back the copies that have to be made again anyway.
  func dropStale() {
    let gone: [Buffer] = state.withLock { state in
      let all = state.entries.values.flatMap { $0.values.map(\.buffer) }
      for (base, entries) in state.entries {
        state.entries[base] = entries.filter { $0.value.madeAt >= state.writtenAt[base, default: 0] }
      }
      return all
    }
    withExtendedLifetime(gone) {}
  }
}
