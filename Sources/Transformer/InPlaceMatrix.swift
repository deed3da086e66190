import Checkpoints
import Kernels
import Platform
import Synchronization

/// A matrix that lies in its file, row after row, until a forward pass has made panels of it on its way.
///
/// So the first token after opening waits for no copy, and a model that is only opened costs no memory. Panels and rows
/// give the same bits: a pass over rows makes a panel at a time in its work space.
final class InPlaceMatrix: @unchecked Sendable {
  private enum State {
    static let rows: UInt8 = 0
    static let packing: UInt8 = 1
    static let packed: UInt8 = 2
  }

  let type: ElementType
  let start: UnsafeRawPointer
  private let tensor: TensorView
  private let state = Atomic<UInt8>(State.rows)
  /// Written by whoever brought the state to `packing`, read by all once it is `packed`.
  private var buffer: Buffer?

  init(_ tensor: TensorView) throws(BoneSoupError) {
    self.tensor = tensor
    type = tensor.type
    start = try tensor.start()
  }

  /// The panels, where they are made.
  var panels: UnsafeRawPointer? {
    guard state.load(ordering: .acquiring) == State.packed else { return nil }
    return buffer.map { UnsafeRawPointer($0.pointer) }
  }

  /// Room for the panels, which the caller now makes and then calls `endPacking`; nil where another pass is at it or the
  /// budget has no ample room for them: then the rows go on being used.
  func beginPacking(byteCount: Int, allocator: Allocator) -> UnsafeMutableRawPointer? {
    guard state.compareExchange(expected: State.rows, desired: State.packing, ordering: .acquiring).exchanged else {
      return nil
    }
    // What sessions and folds will want of a budget comes first.
    if buffer == nil, allocator.hasAmpleRoom(byteCount) {
      buffer = try? Buffer(byteCount: byteCount, allocator: allocator, purpose: tensor.name)
    }
    if let buffer { return buffer.pointer }
    state.store(State.rows, ordering: .releasing)
    return nil
  }

  /// - Parameter isWhole: false where the pass was cancelled: another one begins anew.
  func endPacking(isWhole: Bool) {
    state.store(isWhole ? State.packed : State.rows, ordering: .releasing)
    if isWhole { tensor.dropBehind() }
  }
}
