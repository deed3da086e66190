import Checkpoints
import Glibc
import Platform
import TestSupport
import Testing

@Suite struct FileProviderTests {
  let folder: TemporaryFolder
  static let large = [UInt8](unsafeUninitializedCapacity: 5 << 20) {
    for index in $0.indices { $0[index] = UInt8(truncatingIfNeeded: index &* 7 ^ index >> 9) }
    $1 = $0.count
  }

  init() throws { folder = try TemporaryFolder() }

  @Test(arguments: [LoadMode.map, .copy]) func filesOfAFolderAreRead(mode: LoadMode) throws {
    try folder.write("small.txt", "hello")
    try folder.write("empty", "")
    try folder.write("sub/large.bin", Self.large)
    let files = try FileProvider(folder: folder.path, mode: mode)
    #expect(files.exists("small.txt") && !files.exists("absent") && files.isFolder("sub") && !files.isFolder("empty"))
    let small = try files.open("small.txt", allocator: .system)
    #expect(small.bytes.elementsEqual("hello".utf8) && small.name == folder.path + "/small.txt")
    #expect(try files.contents("empty").isEmpty)
    let sub = try files.folder("sub")
    #expect(try sub.contents("large.bin") == Self.large)
    #expect(try sub.contents("../small.txt").count == 5)
    #expect(try sub.open(folder.path + "/small.txt", allocator: .system).identity == small.identity)
    #expect(sub.firstName(endingIn: ".bin") == "large.bin" && files.firstName(endingIn: ".bin") == nil)
  }

  @Test func memoryOfLargeFilesIsTakenOnlyForCopies() throws {
    try folder.write("large.bin", Self.large)
    let allocator = Allocator(limit: 6 << 20, host: nil)
    let mapped = try FileProvider(folder: folder.path).open("large.bin", allocator: allocator)
    #expect(allocator.bytesInUse == 0)
    do {
      let copied = try FileProvider(folder: folder.path, mode: .copy).open("large.bin", allocator: allocator)
      #expect(allocator.bytesInUse == Self.large.count && copied.identity == mapped.identity)
      expectRefusal("the contents of", "large.bin") { () throws(BoneSoupError) in
        try FileProvider(folder: folder.path, mode: .copy).open("large.bin", allocator: allocator)
      }
    }
    #expect(allocator.bytesInUse == 0)
  }

  @Test func pagesThatWereDroppedAreReadAgain() throws {
    try folder.write("large.bin", Self.large)
    let file = try FileProvider(folder: folder.path).open("large.bin", allocator: .system)
    file.dropBehind(UnsafeRawBufferPointer(rebasing: file.bytes[100..<file.bytes.count - 100]))
    file.dropBehind(UnsafeRawBufferPointer(start: file.bytes.baseAddress, count: .max))
    Self.large.withUnsafeBytes { file.dropBehind($0) }
    #expect(file.bytes.elementsEqual(Self.large))
  }

  @Test func identityChangesWithTheContents() throws {
    try folder.write("a", "one")
    let files = try FileProvider(folder: folder.path)
    let before = try files.open("a", allocator: .system).identity
    #expect(try files.open("a", allocator: .system).identity == before)
    usleep(20_000)
    try folder.write("a", "two")
    #expect(try files.open("a", allocator: .system).identity != before)
  }

  @Test func whatIsNoFileIsRefused() throws {
    try folder.write("sub/file", "x")
    mkfifo(folder.path + "/pipe", 0o600)
    symlink("nowhere", folder.path + "/dangling")
    let files = try FileProvider(folder: folder.path)
    expectRefusal("/sub is a folder") { () throws(BoneSoupError) in try files.open("sub", allocator: .system) }
    expectRefusal("/pipe is a device, pipe") { () throws(BoneSoupError) in try files.open("pipe", allocator: .system) }
    expectRefusal("/dev/zero is a device") { () throws(BoneSoupError) in
      try files.open("/dev/zero", allocator: .system)
    }
    for name in ["absent", "dangling", "sub/file/x"] {
      let error = refusal { () throws(BoneSoupError) in try files.open(name, allocator: .system) }
      #expect(error == .notFound("\(folder.path)/\(name) does not exist"))
    }
    for name in ["a\u{0}b", String(repeating: "x", count: 5000)] {
      expectRefusal("is no path") { () throws(BoneSoupError) in try files.open(name, allocator: .system) }
      #expect(!files.exists(name) && !files.isFolder(name))
      expectRefusal("is no path") { () throws(BoneSoupError) in try FileProvider(folder: name) }
    }
    expectRefusal("is no path") { () throws(BoneSoupError) in try FileProvider(folder: "") }
    expectRefusal("a folder is needed") { () throws(BoneSoupError) in try files.folder("sub/file") }
    expectRefusal("does not exist") { () throws(BoneSoupError) in try files.folder("absent") }
    expectRefusal("has 1 bytes; at most 0 are read") { () throws(BoneSoupError) in
      try files.open("sub/file", maximumBytes: 0, allocator: .system)
    }
  }

  @Test func unreadableFilesAreReportedWithTheReason() throws {
    guard getuid() != 0 else { return }
    try folder.write("secret", "x")
    chmod(folder.path + "/secret", 0)
    let files = try FileProvider(folder: folder.path)
    #expect(files.exists("secret"))
    expectRefusal("/secret cannot be opened: ") { () throws(BoneSoupError) in
      try files.open("secret", allocator: .system)
    }
  }

  @Test func copyingStopsWhenTheHostCancels() throws {
    try folder.write("large.bin", Self.large)
    var shares: [Double] = []
    let monitor = Monitor(token: nil) {
      shares.append($0)
      return shares.count < 2
    }
    let files = try FileProvider(folder: folder.path, mode: .copy)
    let error = refusal { () throws(BoneSoupError) in
      try files.open("large.bin", allocator: .system, monitor: monitor)
    }
    #expect(error == .cancelled && shares.count == 2 && shares[0] == 0)
  }

  @Test func fileThatShrinksWhileItIsCopiedIsAnError() throws {
    try folder.write("large.bin", Self.large)
    let path = folder.path + "/large.bin"
    let monitor = Monitor(token: nil) {
      if $0 > 0 { truncate(path, 1000) }
      return true
    }
    let files = try FileProvider(folder: folder.path, mode: .copy)
    expectRefusal("large.bin ended after 4194304 of 5242880 bytes") { () throws(BoneSoupError) in
      try files.open("large.bin", allocator: .system, monitor: monitor)
    }
  }
}
