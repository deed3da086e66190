import CBoneSoup
import Platform
import Soups

// Chapter 13 of the header: full backbones made low-rank.

/// What a factoring handle stands for: the report, and the texts that its host is shown.
final class FactoringBox: Sendable {
  let report: LowRankReport
  let names: [KeptText]

  init(_ report: LowRankReport) {
    self.report = report
    names = report.tensors.map { KeptText($0.name) }
  }
}

private var factorDefaults: bsoup_factor_options {
  bsoup_factor_options(
    struct_size: UInt32(MemoryLayout<bsoup_factor_options>.size), rank: 0, max_error: 0.1,
    format: UInt32(BSOUP_FORMAT_DEFAULT), vectors: UInt32(BSOUP_VECTORS_REFUSE), cancel: nil, progress: nil,
    progress_context: nil)
}

@c @implementation
public func bsoup_factor_options_init(_ options: UnsafeMutablePointer<bsoup_factor_options>!, _ struct_size: Int) {
  Structs.initialize(options, struct_size, factorDefaults)
}

extension FactoringOptions {
  fileprivate init(_ raw: bsoup_factor_options) throws(BoneSoupError) {
    self.init()
    rank = raw.rank > 0 ? Int(raw.rank) : nil
    maximumError = raw.max_error
    type = try Arguments.elementType(raw.format, "format") ?? .f32
    switch Int(raw.vectors) {
    case Int(BSOUP_VECTORS_REFUSE): vectors = .refused
    case Int(BSOUP_VECTORS_DROP): vectors = .dropped
    default: throw .invalidArgument("vectors is \(raw.vectors), which is no BSOUP_VECTORS")
    }
  }
}

@c @implementation
public func bsoup_backbone_factor(
  _ soup: OpaquePointer!, _ index: UInt32, _ path: UnsafePointer<CChar>!,
  _ options: UnsafePointer<bsoup_factor_options>!, _ factoring: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  factoring?.pointee = nil
  return Call.run { (call) throws(BoneSoupError) in
    let soup = try Handles.take(soup, SoupBox.self).soup
    let path = try Arguments.string(path, "path")
    let raw = try Structs.read(options, factorDefaults, "bsoup_factor_options")
    let monitor = try call.monitor(raw.cancel, raw.progress, raw.progress_context)
    let report = try BackboneFactoring(soup, backbone: Int(index), try FactoringOptions(raw)).run(
      path, monitor: monitor)
    if let factoring { try Handles.give(FactoringBox(report), to: factoring) }
  }
}

@c @implementation
public func bsoup_factoring_free(_ factoring: OpaquePointer!) { Handles.free(factoring, FactoringBox.self) }

@c @implementation
public func bsoup_factoring_get_info(
  _ factoring: OpaquePointer!, _ info: UnsafeMutablePointer<bsoup_factoring_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let report = try Handles.take(factoring, FactoringBox.self).report
    var value = bsoup_factoring_info()
    value.rank = UInt32(clamping: report.rank)
    value.tensor_count = UInt32(clamping: report.tensors.count)
    value.error = report.error
    try Structs.write(value, to: info, "bsoup_factoring_info")
  }
}

@c @implementation
public func bsoup_factoring_tensor(
  _ factoring: OpaquePointer!, _ index: UInt32, _ info: UnsafeMutablePointer<bsoup_factored_tensor>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(factoring, FactoringBox.self)
    let tensors = box.report.tensors
    guard tensors.indices.contains(Int(index)) else {
      throw .notFound("there is no tensor \(index); the factoring has \(tensors.count)")
    }
    let tensor = tensors[Int(index)]
    var value = bsoup_factored_tensor()
    value.rank = UInt32(clamping: tensor.rank)
    value.name = box.names[Int(index)].pointer
    (value.rows, value.columns) = matrixShape(tensor.shape)
    value.norm = tensor.norm
    value.error = tensor.error
    try Structs.write(value, to: info, "bsoup_factored_tensor")
  }
}

/// Rows and columns; a vector is one row.
func matrixShape(_ shape: [Int]) -> (rows: UInt64, columns: UInt64) {
  (UInt64(clamping: shape.count > 1 ? shape[0] : 1), UInt64(clamping: shape.last ?? 0))
}
