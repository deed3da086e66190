import CIntrinsics

/// The calling thread's rounding and denormal mode: the library's own while it works, the host's where the host runs.
public struct FloatingPointControl {
  private let host: UInt

  /// Switches to the library's mode and remembers the host's.
  public static func enter() -> FloatingPointControl {
    let control = FloatingPointControl(host: bsp_floating_point())
    bsp_default_floating_point()
    return control
  }

  /// Back to the host's mode. Exceptions that the library's arithmetic flagged are not shown to the host.
  public func leave() { bsp_set_floating_point(host) }

  /// Runs a callback of the host's in the host's mode.
  public func asHost<Result>(_ callback: () -> Result) -> Result {
    bsp_set_floating_point(host)
    defer { bsp_default_floating_point() }
    return callback()
  }
}
