import CBoneSoup
import Platform
import Soups

// Chapter 13 of the header: exporting blends.

private var exportDefaults: bsoup_export_options {
  bsoup_export_options(
    struct_size: UInt32(MemoryLayout<bsoup_export_options>.size), kind: UInt32(BSOUP_EXPORT_FOLDER),
    format: UInt32(BSOUP_FORMAT_DEFAULT), rank: 0, shard_size: 0, base_name: nil, skip_hashes: 0, reserved: 0,
    cancel: nil, progress: nil, progress_context: nil)
}

@c @implementation
public func bsoup_export_options_init(_ options: UnsafeMutablePointer<bsoup_export_options>!, _ struct_size: Int) {
  Structs.initialize(options, struct_size, exportDefaults)
}

extension ExportOptions {
  fileprivate init(_ raw: bsoup_export_options) throws(BoneSoupError) {
    self.init()
    try Structs.requireZero(raw.reserved, "bsoup_export_options")
    switch Int(raw.kind) {
    case Int(BSOUP_EXPORT_FOLDER): kind = .folder
    case Int(BSOUP_EXPORT_ADAPTER): kind = .adapter
    default: throw .invalidArgument("kind is \(raw.kind), which is no BSOUP_EXPORT")
    }
    type = try Arguments.elementType(raw.format, "format")
    if raw.rank > 0 {
      guard kind == .adapter else {
        throw .invalidArgument("rank is \(raw.rank), and a folder has no rank; it is for BSOUP_EXPORT_ADAPTER")
      }
      rank = Int(raw.rank)
    }
    if raw.shard_size > 0 {
      guard kind == .folder else {
        throw .invalidArgument("shard_size is \(raw.shard_size), and an adapter is one file")
      }
      shardBytes = Int(clamping: raw.shard_size)
    }
    if raw.base_name != nil { baseName = try Arguments.string(raw.base_name, "base_name") }
    hashesSources = try !Arguments.flag(raw.skip_hashes, "skip_hashes")
  }
}

/// Writes a point and gives out what recompression lost.
private func export(
  _ point: BlendPoint, _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<bsoup_export_options>?,
  _ factoring: UnsafeMutablePointer<OpaquePointer?>?, _ call: Call
) throws(BoneSoupError) {
  let path = try Arguments.string(path, "path")
  let raw = try Structs.read(options, exportDefaults, "bsoup_export_options")
  let report = try point.export(
    to: path, try ExportOptions(raw), monitor: try call.monitor(raw.cancel, raw.progress, raw.progress_context))
  if let factoring, let report { try Handles.give(FactoringBox(report), to: factoring) }
}

@c @implementation
public func bsoup_blend_export(
  _ blend: OpaquePointer!, _ path: UnsafePointer<CChar>!, _ options: UnsafePointer<bsoup_export_options>!,
  _ factoring: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  factoring?.pointee = nil
  return Call.run { (call) throws(BoneSoupError) in
    let blend = try Handles.take(blend, Blend.self)
    try export(BlendPoint(blend), path, options, factoring, call)
  }
}

@c @implementation
public func bsoup_soup_export(
  _ soup: OpaquePointer!, _ point: UnsafePointer<bsoup_blend_options>!, _ path: UnsafePointer<CChar>!,
  _ options: UnsafePointer<bsoup_export_options>!, _ factoring: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  factoring?.pointee = nil
  return Call.run { (call) throws(BoneSoupError) in
    let soup = try Handles.take(soup, SoupBox.self).soup
    try export(BlendPoint(soup, try BlendRequest(point)), path, options, factoring, call)
  }
}

@c @implementation
public func bsoup_soup_export_size(
  _ soup: OpaquePointer!, _ point: UnsafePointer<bsoup_blend_options>!,
  _ options: UnsafePointer<bsoup_export_options>!, _ bytes: UnsafeMutablePointer<UInt64>!
) -> bsoup_status {
  Call.measuring(bytes) { (call) throws(BoneSoupError) in
    let soup = try Handles.take(soup, SoupBox.self).soup
    let point = try BlendPoint(soup, try BlendRequest(point))
    let raw = try Structs.read(options, exportDefaults, "bsoup_export_options")
    return try point.exportByteCount(try ExportOptions(raw))
  }
}
