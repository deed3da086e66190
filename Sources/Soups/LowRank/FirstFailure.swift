import Platform
import Transformer

/// The first error of work that runs in parts on several threads, which cannot throw.
final class FirstFailure: @unchecked Sendable {
  private let lock = Lock()
  private var error: BoneSoupError?

  var isSet: Bool { lock.withLock { error != nil } }

  func record(_ error: BoneSoupError) {
    lock.withLock { if self.error == nil { self.error = error } }
  }

  /// Throws the first error.
  func check() throws(BoneSoupError) {
    if let error = lock.withLock({ error }) { throw error }
  }

  /// Work space of a part; nil, and an error, where there is no memory.
  func buffer(_ count: Int, _ engine: Engine) -> Buffer? {
    do throws(BoneSoupError) {
      return try Buffer(of: Float.self, count: count, allocator: engine.allocator, purpose: "work space")
    } catch {
      record(error)
      return nil
    }
  }
}
