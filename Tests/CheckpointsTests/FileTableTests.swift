import Checkpoints
import Platform
import TestSupport
import Testing

@Suite struct FileTableTests {
  @Test(arguments: [LoadMode.map, .copy]) func filesOfATableAreRead(mode: LoadMode) throws {
    let files = try memoryFiles([("./base//config.json", Array("{}".utf8)), ("soup.json", [1])], mode: mode)
    #expect(files.exists("base/config.json") && files.isFolder("base") && !files.isFolder("soup.json"))
    #expect(!files.exists("bas") && files.exists("base/") && files.isFolder(""))
    let base = try files.folder("base")
    #expect(try base.open("config.json", allocator: .system).name == "base/config.json")
    #expect(try base.contents("../soup.json") == Array([1]))
    #expect(try base.contents("/soup.json") == Array([1]))
    #expect(base.firstName(endingIn: ".json") == "config.json" && files.firstName(endingIn: ".json") == "soup.json")
    let one = try files.open("soup.json", allocator: .system).identity
    #expect(try base.open("../soup.json", allocator: .system).identity == one)
    #expect(try base.open("config.json", allocator: .system).identity != one)
    expectRefusal("no file \"base/absent\"") { () throws(BoneSoupError) in try base.open("absent", allocator: .system) }
    expectRefusal("no file") { () throws(BoneSoupError) in try base.open("../../soup.json", allocator: .system) }
    expectRefusal("no files in the folder") { () throws(BoneSoupError) in try files.folder("full") }
    expectRefusal("soup.json has 1 bytes; at most 0") { () throws(BoneSoupError) in
      try files.open("soup.json", maximumBytes: 0, allocator: .system)
    }
  }

  @Test func namesThatNameNothingAreRefused() {
    for name in ["", ".", "..", "a/../..", "a\u{0}b", String(repeating: "x", count: 5000)] {
      expectRefusal("cannot name a file") { () throws(BoneSoupError) in try memoryFiles([(name, [])]) }
    }
    expectRefusal("two files of the name a/b") { () throws(BoneSoupError) in
      try memoryFiles([("a/b", []), ("/a/./c/../b", [])])
    }
    expectRefusal("negative size") { () throws(BoneSoupError) in
      try FileTable([.init(name: "a", size: -1, readAt: { _, _, _, _ in 0 }, context: nil)])
    }
  }

  /// A host's file behind a callback that counts its calls.
  private struct Host {
    var bytes: UnsafeMutablePointer<UInt8>
    var count: Int
    var calls = 0
    var failsFrom = Int.max
  }

  private static let readAt: FileTable.ReadAt = { context, offset, destination, count in
    guard let host = context?.assumingMemoryBound(to: Host.self), let destination else { return -1 }
    host.pointee.calls += 1
    guard Int(offset) + count <= host.pointee.count, Int(offset) < host.pointee.failsFrom else { return 5 }
    destination.copyMemory(from: host.pointee.bytes + Int(offset), byteCount: count)
    return 0
  }

  @Test func callbackIsReadInPieces() throws {
    let size = 9 << 20
    let buffer = try Buffer(byteCount: size, allocator: .system, purpose: "the host's file")
    let bytes: UnsafeMutablePointer<UInt8> = buffer.elements()
    for index in 0..<size { bytes[index] = UInt8(truncatingIfNeeded: index &* 31 ^ index >> 11) }
    try withUnsafeTemporaryAllocation(of: Host.self, capacity: 1) { host in
      host.initializeElement(at: 0, to: Host(bytes: bytes, count: size))
      let table = try FileTable([
        .init(name: "a", size: size, readAt: Self.readAt, context: UnsafeMutableRawPointer(host.baseAddress)),
        .init(name: "longer", size: size + 1, readAt: Self.readAt, context: UnsafeMutableRawPointer(host.baseAddress)),
        .init(name: "huge", size: .max, readAt: Self.readAt, context: UnsafeMutableRawPointer(host.baseAddress)),
      ])
      let files = FileProvider(table: table)
      #expect(try files.contents("a") == Array(buffer.bytes) && host[0].calls == 3)
      expectRefusal("read_at of longer failed with 5 for 1048577 bytes from 8388608 on") {
        () throws(BoneSoupError) in try files.open("longer", allocator: .system)
      }
      expectRefusal("the contents of huge needs") { () throws(BoneSoupError) in
        try files.open("huge", allocator: .system)
      }
      host[0].failsFrom = 0
      expectRefusal("read_at of a failed") { () throws(BoneSoupError) in try files.open("a", allocator: .system) }
    }
  }
}
