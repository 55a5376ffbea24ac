import Arrays
import FakeCUDA
import Foundation
import Testing

@testable import Devices

/// The library's functions from the fake.
func fakeLibraries() throws -> CUDALibraries { try CUDALibraries { fake_symbol($0) } }

/// A CUDA device on the fake, whose kernels run on the host, and which need not pass the check that they have to pass on a GPU.
func fakeDevice(
  _ precision: CUDAPrecision, measuredFrom: Int = 1 << 40, trustsKernels: Bool = true
) throws -> CUDADevice {
  try CUDADevice(fakeLibraries(), precision: precision, measuredFrom: measuredFrom, trustsKernels: trustsKernels)
}

extension CUDAPrecision {
  /// What one rounding of an activation or of a weight on its way into the tensor cores can do, relative to its size.
  var element: Double { self == .bf16 ? unitRoundoff : 0 }

  /// What one rounding of a factor of a product can do, by whichever kernel or library.
  var factorRoundoff: Double { self == .tf32 ? CUDAPrecision.tensorFloatRoundoff : element }

  /// A number that the element type holds exactly: then an oracle in Double starts from what the device starts from.
  func rounded(_ x: Float) -> Float {
    guard self == .bf16 else { return x }
    let bits = x.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
  }
}

/// Numbers drawn for a test, such as the precision's elements hold.
func normals(_ count: Int, seed: UInt64, _ precision: CUDAPrecision) -> [Float] {
  var generator = SeededGenerator(seed: seed)
  return (0..<count).map { _ in precision.rounded(Float(generator.normal())) }
}

extension [Float] {
  var doubles: [Double] { map(Double.init) }
}

func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

/// Every |got - expected| is at most `bound`, entry by entry; NaN never is.
func expectWithin(
  _ got: [Float], _ expected: [Double], _ bound: [Double], _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(got.count == expected.count && got.count == bound.count, "\(what)", sourceLocation: sourceLocation)
  var worst = 0.0, place = -1
  for index in got.indices.prefix(min(expected.count, bound.count)) {
    let error = abs(Double(got[index]) - expected[index])
    let excess = error.isNaN ? .infinity : error - bound[index]
    if excess > worst { (worst, place) = (excess, index) }
  }
  #expect(
    place < 0,
    "\(what): entry \(place) is \(place < 0 ? 0 : got[place]), not \(place < 0 ? 0 : expected[place]), beyond the bound by \(worst)",
    sourceLocation: sourceLocation)
}
