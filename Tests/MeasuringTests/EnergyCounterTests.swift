import Measuring
import Testing

@Suite("Energy counter")
struct EnergyCounterTests {
  /// Two packages, each with a part of its own, beside the whole platform and another way to the first.
  private static func tree() throws -> TemporaryTree {
    let tree = try TemporaryTree()
    for (domain, name) in [
      ("intel-rapl:0", "package-0"), ("intel-rapl:1", "package-1"), ("intel-rapl:0:0", "core"),
      ("intel-rapl:2", "psys"),
      ("intel-rapl-mmio:0", "package-0"),
    ] {
      try tree.write(domain + "/name", name + "\n")
      try tree.write(domain + "/energy_uj", "1000000\n")
      try tree.write(domain + "/max_energy_range_uj", "9000000\n")
    }
    try tree.write("intel-rapl/enabled", "1\n")
    return tree
  }

  @Test("packages are summed, and only packages")
  func sum() throws {
    let tree = try EnergyCounterTests.tree()
    var counter = try #require(EnergyCounter.open(root: tree.root))
    #expect(counter.joules() == 0)
    for domain in ["intel-rapl:0:0", "intel-rapl:2", "intel-rapl-mmio:0"] {
      try tree.write(domain + "/energy_uj", "8000000\n")
    }
    #expect(counter.joules() == 0)
    try tree.write("intel-rapl:0/energy_uj", "1500000\n")
    try tree.write("intel-rapl:1/energy_uj", "3000000\n")
    #expect(counter.joules() == 2.5)
    #expect(counter.joules() == 2.5)
  }

  @Test("a counter that wraps between reads goes on counting, every time")
  func wrap() throws {
    let tree = try EnergyCounterTests.tree()
    var counter = try #require(EnergyCounter.open(root: tree.root))
    var expected = 0.0
    for (reading, passed) in [("8000000", 7.0), ("500000", 1.5), ("9000000", 8.5), ("0", 0.0), ("8500000", 8.5)] {
      try tree.write("intel-rapl:0/energy_uj", reading + "\n")
      expected += passed
      #expect(counter.joules() == expected)
    }
  }

  @Test("a mark begins anew")
  func mark() throws {
    let tree = try EnergyCounterTests.tree()
    var counter = try #require(EnergyCounter.open(root: tree.root))
    try tree.write("intel-rapl:0/energy_uj", "2000000\n")
    counter.mark()
    #expect(counter.joules() == 0)
    try tree.write("intel-rapl:0/energy_uj", "2250000\n")
    #expect(counter.joules() == 0.25)
  }

  @Test("a failed read has no answer until the next mark")
  func failure() throws {
    let tree = try EnergyCounterTests.tree()
    var counter = try #require(EnergyCounter.open(root: tree.root))
    try tree.write("intel-rapl:1/energy_uj", "gone\n")
    #expect(counter.joules() == nil)
    try tree.write("intel-rapl:1/energy_uj", "2000000\n")
    #expect(counter.joules() == nil)
    counter.mark()
    #expect(counter.joules() == 0)
  }

  @Test("a counter that goes back without a known range, or from beyond it, has no answer", arguments: [nil, "500000"])
  func backwards(range: String?) throws {
    let tree = try EnergyCounterTests.tree()
    try tree.remove("intel-rapl:0/max_energy_range_uj")
    if let range { try tree.write("intel-rapl:0/max_energy_range_uj", range) }
    var counter = try #require(EnergyCounter.open(root: tree.root))
    try tree.write("intel-rapl:0/energy_uj", "0\n")
    #expect(counter.joules() == nil)
  }

  @Test("no counter where there is none, or where one of the packages cannot be read")
  func absence() throws {
    let tree = try EnergyCounterTests.tree()
    try tree.remove("intel-rapl:1/energy_uj")
    #expect(EnergyCounter.open(root: tree.root) == nil)
    #expect(EnergyCounter.open(root: tree.root + "/none") == nil)
    let empty = try TemporaryTree()
    #expect(EnergyCounter.open(root: empty.root) == nil)
  }
}
