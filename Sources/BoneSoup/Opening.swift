import CBoneSoup
import Checkpoints
import Platform
import Soups
import Transformer

// Chapter 5 of the header: opening a soup.

private var openDefaults: bsoup_open_options {
  bsoup_open_options(
    struct_size: UInt32(MemoryLayout<bsoup_open_options>.size), weights: UInt32(BSOUP_FORMAT_DEFAULT),
    load: UInt32(BSOUP_LOAD_MAP), verify: 0, files: nil, file_count: 0, reserved: 0, cancel: nil, progress: nil,
    progress_context: nil)
}

@c @implementation
public func bsoup_open_options_init(_ options: UnsafeMutablePointer<bsoup_open_options>!, _ struct_size: Int) {
  Structs.initialize(options, struct_size, openDefaults)
}

/// The host's options for opening files, and what their work reports to.
struct OpenRequest {
  let options: OpenOptions
  let monitor: Monitor

  init(_ pointer: UnsafePointer<bsoup_open_options>?, _ call: Call) throws(BoneSoupError) {
    let raw = try Structs.read(pointer, openDefaults, "bsoup_open_options")
    try Structs.requireZero(raw.reserved, "bsoup_open_options")
    var options = OpenOptions()
    options.format = try Arguments.format(raw.weights, "weights")
    guard raw.load <= BSOUP_LOAD_COPY else {
      throw .invalidArgument("load is \(raw.load), which is no BSOUP_LOAD")
    }
    options.mode = raw.load == BSOUP_LOAD_COPY ? .copy : .map
    let verify = try Arguments.flags(
      raw.verify, among: Int(BSOUP_VERIFY_CHECKSUMS) | Int(BSOUP_VERIFY_FINITE), "verify")
    options.verifiesChecksums = verify & Int(BSOUP_VERIFY_CHECKSUMS) != 0
    options.verifiesFinite = verify & Int(BSOUP_VERIFY_FINITE) != 0
    if raw.files != nil || raw.file_count > 0 { options.table = try Self.table(raw, call) }
    self.options = options
    monitor = try call.monitor(raw.cancel, raw.progress, raw.progress_context)
  }

  private static func table(_ raw: bsoup_open_options, _ call: Call) throws(BoneSoupError) -> FileTable {
    guard raw.file_count <= FileTable.maximumCount else {
      throw .invalidArgument("file_count is \(raw.file_count); at most \(FileTable.maximumCount) are possible")
    }
    var entries: [FileTable.Entry] = []
    for file in try Arguments.values(raw.files, Int(raw.file_count), "files") {
      let name = try Arguments.string(file.name, "a file's name")
      guard let size = Int(exactly: file.size) else {
        throw .invalidArgument("the file \(name) of the table has a size of \(file.size)")
      }
      if let data = file.data {
        entries.append(.init(name: name, buffer: UnsafeRawBufferPointer(start: data, count: size)))
      } else if let readAt = file.read_at {
        entries.append(.init(name: name, size: size, readAt: readAt, context: file.context, host: call.host))
      } else if size == 0 {
        entries.append(.init(name: name, buffer: UnsafeRawBufferPointer(start: nil, count: 0)))
      } else {
        throw .invalidArgument("the file \(name) of the table has neither data nor read_at")
      }
    }
    return try FileTable(entries)
  }
}

@c @implementation
public func bsoup_soup_open(
  _ engine: OpaquePointer!, _ path: UnsafePointer<CChar>!, _ options: UnsafePointer<bsoup_open_options>!,
  _ soup: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  Call.making(soup, "soup") { (call) throws(BoneSoupError) in
    let engine = try DefaultEngine.resolve(engine)
    let path = try Arguments.string(path, "path")
    let request = try OpenRequest(options, call)
    let opened = try Soup.open(path, options: request.options, engine: engine, monitor: request.monitor)
    if opened.base.tokenizer == nil {
      call.log(.warning, "\(opened.base.name) has no tokenizer.json: the soup takes token numbers only", engine)
    }
    return SoupBox(opened)
  }
}

@c @implementation
public func bsoup_soup_free(_ soup: OpaquePointer!) { Handles.free(soup, SoupBox.self) }
