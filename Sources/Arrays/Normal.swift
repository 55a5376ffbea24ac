import Foundation

extension SeededGenerator {
  /// A standard normal number (Box and Muller 1958; the second one of the pair is dropped to keep no state).
  public mutating func normal() -> Double {
    let radius = (-2 * log(1 - uniform())).squareRoot()
    return radius * cos(2 * Double.pi * uniform())
  }

  /// `count` of the numbers 0 ..< bound, ascending, every subset equally likely (Floyd's algorithm).
  public mutating func sample(_ count: Int, below bound: Int) -> [Int] {
    precondition(count <= bound)
    if count * 4 > bound {
      var all = Array(0..<bound)
      for i in 0..<count { all.swapAt(i, i + index(below: bound - i)) }
      return all[0..<count].sorted()
    }
    var chosen = Set<Int>(minimumCapacity: count)
    for top in (bound - count)..<bound {
      let pick = index(below: top + 1)
      if !chosen.insert(pick).inserted { chosen.insert(top) }
    }
    return chosen.sorted()
  }
}
