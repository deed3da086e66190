import CBoneSoup
import Generation
import Platform
import Soups
import Transformer

/// The kinds of objects that a host holds, and their passage through the handle table.
enum Handles {
  private enum Kind: UInt8 {
    case engine = 1
    case soup, blend, session, generation, factoring, comparison
  }

  private static func kind<Object: AnyObject>(of type: Object.Type) -> (Kind, StaticString)? {
    switch type {
    case is Engine.Type: (.engine, "engine")
    case is SoupBox.Type: (.soup, "soup")
    case is Blend.Type: (.blend, "blend")
    case is Session.Type: (.session, "session")
    case is GeneratedText.Type: (.generation, "generation")
    case is FactoringBox.Type: (.factoring, "factoring")
    case is ComparisonBox.Type: (.comparison, "comparison")
    default: nil
    }
  }

  /// Gives the host a handle, which holds a reference.
  static func give<Object: AnyObject>(
    _ object: Object, to target: UnsafeMutablePointer<OpaquePointer?>
  ) throws(BoneSoupError) {
    guard let (kind, _) = kind(of: Object.self) else { throw .internalFault("a handle of an unknown kind") }
    target.pointee = OpaquePointer(bitPattern: try HandleTable.shared.insert(object, kind: kind.rawValue))
  }

  /// The object of a handle.
  static func take<Object: AnyObject>(
    _ handle: OpaquePointer?, _ type: Object.Type = Object.self
  ) throws(BoneSoupError) -> Object {
    guard let (kind, name) = kind(of: type) else { throw .internalFault("a handle of an unknown kind") }
    let bits = UInt(bitPattern: handle)
    guard let object = HandleTable.shared.object(bits, kind: kind.rawValue) as? Object else {
      throw .staleHandle(
        bits == 0 ? "the \(name) is NULL" : "this is no \(name): it was freed, or it never was one")
    }
    return object
  }

  /// Ends a handle; does nothing for one that is stale.
  static func free<Object: AnyObject>(_ handle: OpaquePointer?, _ type: Object.Type) {
    Call.runQuietly {
      guard let handle, let (kind, _) = kind(of: type) else { return }
      _ = HandleTable.shared.remove(UInt(bitPattern: handle), kind: kind.rawValue)
    }
  }

  /// A cancel token; nil for NULL.
  static func token(_ handle: OpaquePointer?) throws(BoneSoupError) -> CancelToken? {
    guard let handle else { return nil }
    let token = CancelToken(value: UInt64(UInt(bitPattern: handle)))
    guard token.isAlive else { throw .staleHandle("this is no cancel token: it was freed, or it never was one") }
    return token
  }
}
