import CBoneSoup
import Platform
import Soups

// Chapter 13 of the header: how backbones change the base.

/// What a comparison handle stands for: the comparison, and the texts that its host is shown.
final class ComparisonBox: Sendable {
  let comparison: Comparison
  let names: [KeptText]

  init(_ comparison: Comparison) {
    self.comparison = comparison
    names = (0...comparison.count).map { KeptText(comparison.name($0)) }
  }
}

private var compareDefaults: bsoup_compare_options {
  bsoup_compare_options(
    struct_size: UInt32(MemoryLayout<bsoup_compare_options>.size), reserved: 0, cancel: nil, progress: nil,
    progress_context: nil)
}

@c @implementation
public func bsoup_compare_options_init(_ options: UnsafeMutablePointer<bsoup_compare_options>!, _ struct_size: Int) {
  Structs.initialize(options, struct_size, compareDefaults)
}

@c @implementation
public func bsoup_soup_compare(
  _ soup: OpaquePointer!, _ options: UnsafePointer<bsoup_compare_options>!,
  _ comparison: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  Call.making(comparison, "comparison") { (call) throws(BoneSoupError) in
    let soup = try Handles.take(soup, SoupBox.self).soup
    let raw = try Structs.read(options, compareDefaults, "bsoup_compare_options")
    try Structs.requireZero(raw.reserved, "bsoup_compare_options")
    let monitor = try call.monitor(raw.cancel, raw.progress, raw.progress_context)
    return ComparisonBox(try Comparison(soup, monitor: monitor))
  }
}

@c @implementation
public func bsoup_comparison_free(_ comparison: OpaquePointer!) { Handles.free(comparison, ComparisonBox.self) }

@c @implementation
public func bsoup_comparison_get_info(
  _ comparison: OpaquePointer!, _ info: UnsafeMutablePointer<bsoup_comparison_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let comparison = try Handles.take(comparison, ComparisonBox.self).comparison
    var value = bsoup_comparison_info()
    value.tensor_count = UInt32(clamping: comparison.count)
    value.backbone_count = UInt32(clamping: comparison.backboneCount)
    try Structs.write(value, to: info, "bsoup_comparison_info")
  }
}

@c @implementation
public func bsoup_comparison_tensor(
  _ comparison: OpaquePointer!, _ index: UInt32, _ info: UnsafeMutablePointer<bsoup_compared_tensor>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(comparison, ComparisonBox.self)
    let comparison = box.comparison
    let tensor = Int(index)
    guard tensor <= comparison.count else {
      throw .notFound("there is no tensor \(index); the comparison has \(comparison.count)")
    }
    let table = comparison.table(tensor)
    var value = bsoup_compared_tensor()
    value.name = box.names[tensor].pointer
    if tensor < comparison.count { (value.rows, value.columns) = matrixShape(comparison.shape(tensor)) }
    value.elements = UInt64(exactly: comparison.elementCount(tensor)) ?? 0
    value.base_norm = comparison.baseNorm(tensor)
    value.conflict = comparison.conflict(tensor)
    value.cancellation = comparison.cancellation(tensor)
    value.norms = table.norms
    value.largest = table.largest
    value.changed = table.changed
    value.cosines = table.cosines
    value.agreements = table.agreements
    try Structs.write(value, to: info, "bsoup_compared_tensor")
  }
}
