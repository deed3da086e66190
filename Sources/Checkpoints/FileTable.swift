public import Platform
import Synchronization

/// The files that a host hands over in memory or behind a callback, by name.
///
/// Names are paths: `base/config.json`. `.`, `..` and doubled slashes are resolved, a leading slash is dropped.
public final class FileTable: Sendable {
  /// Reads `count` bytes from `offset` on into `destination`; 0 is success.
  public typealias ReadAt =
    @convention(c) (
      _ context: UnsafeMutableRawPointer?, _ offset: UInt64, _ destination: UnsafeMutableRawPointer?, _ count: Int
    ) -> Int32

  public struct Entry: @unchecked Sendable {
    enum Contents {
      case buffer(UnsafeRawBufferPointer)
      case readAt(ReadAt, context: UnsafeMutableRawPointer?, host: FloatingPointControl?)
    }

    let name: String
    let size: Int
    let contents: Contents

    var isBuffer: Bool {
      if case .buffer = contents { true } else { false }
    }

    /// - Parameter buffer: valid as long as the table and anything that was opened from it.
    public init(name: String, buffer: UnsafeRawBufferPointer) {
      self.name = name
      size = buffer.count
      contents = .buffer(buffer)
    }

    /// - Parameters:
    ///   - readAt: called by the thread that opens the file, and not after that.
    ///   - host: the mode in which it runs; nil leaves the thread's as it is.
    public init(
      name: String, size: Int, readAt: @escaping ReadAt, context: UnsafeMutableRawPointer?,
      host: FloatingPointControl? = nil
    ) {
      self.name = name
      self.size = size
      contents = .readAt(readAt, context: context, host: host)
    }
  }

  public static let maximumCount = 65_536
  private static let nextSerial = Atomic<Int>(1)

  let entries: [Entry]
  let serial: Int
  private let index: [String: Int]
  private let owner: (any AnyObject & Sendable)?

  /// - Parameter owner: kept alive as long as the table and what was opened from it.
  public init(_ entries: [Entry], owner: (any AnyObject & Sendable)? = nil) throws(BoneSoupError) {
    guard entries.count <= Self.maximumCount else {
      throw .invalidArgument("the table has \(entries.count) files; at most \(Self.maximumCount) are possible")
    }
    var index: [String: Int] = [:]
    for (position, entry) in entries.enumerated() {
      guard entry.name.utf8.count <= FilePath.maximumBytes, let name = FilePath.normalise(entry.name), !name.isEmpty
      else { throw .invalidArgument("\"\(entry.name.prefix(200))\" cannot name a file of a table") }
      guard entry.size >= 0 else { throw .invalidArgument("the file \(name) of the table has a negative size") }
      guard index.updateValue(position, forKey: name) == nil else {
        throw .invalidArgument("the table has two files of the name \(name)")
      }
    }
    self.entries = entries
    self.owner = owner
    self.index = index
    serial = Self.nextSerial.wrappingAdd(1, ordering: .relaxed).oldValue
  }

  func position(of name: String) -> Int? { index[name] }

  /// The first name below `folder` (empty or ending in a slash) that satisfies the condition, in order of names.
  func firstName(in folder: String, where matches: (Substring) -> Bool) -> String? {
    index.keys.filter { $0.hasPrefix(folder) && matches($0.dropFirst(folder.count)) }.min()
  }
}
