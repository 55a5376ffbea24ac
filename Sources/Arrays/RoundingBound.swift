/// Bounds on what rounding to fp32 can do (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., chapter 3).
public enum RoundingBound {
  /// Half the distance from 1 to the next fp32 number.
  public static let unitRoundoff = 0x1p-24

  /// gamma_n = n u / (1 - n u): a sum of n rounded products, in any order, errs by at most gamma_n times the sum of the
  /// absolute products.
  public static func gamma(_ n: Int) -> Double {
    let nu = Double(n) * unitRoundoff
    precondition(nu < 1)
    return nu / (1 - nu)
  }
}
