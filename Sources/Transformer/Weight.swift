public import Kernels
import Platform

/// A matrix of the model in its run-time form: `rows` × `columns`, row after row without gaps.
///
/// The bytes belong to `owner`: a mapped file or a buffer.
public struct Weight: @unchecked Sendable {
  public let rows: Int
  public let columns: Int
  public let type: ElementType
  public let pointer: UnsafeRawPointer
  public let owner: AnyObject

  public init(rows: Int, columns: Int, type: ElementType, pointer: UnsafeRawPointer, owner: AnyObject) {
    self.rows = rows
    self.columns = columns
    self.type = type
    self.pointer = pointer
    self.owner = owner
  }

  public var byteCount: Int { rows * columns * type.byteCount }

  /// The start of row `index`, which the caller has checked.
  func row(_ index: Int) -> UnsafeRawPointer { pointer + index * columns * type.byteCount }
}

/// A vector of the model: norm weights and biases stay in f32 whatever the run-time format, since they are few.
public struct VectorWeight: @unchecked Sendable {
  public let count: Int
  public let pointer: UnsafePointer<Float>
  let owner: Buffer

  public init(_ buffer: Buffer, count: Int) {
    self.count = count
    pointer = UnsafePointer(buffer.elements(Float.self))
    owner = buffer
  }
}

/// A linear layer: y = W·x + b, W being [out × in].
public struct Linear: Sendable {
  public let weight: Weight
  public let bias: VectorWeight?
}
