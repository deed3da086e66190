import CBoneSoup
import Platform
import Soups

// Chapter 12 of the header: what merge methods there are.

@c @implementation
public func bsoup_method_get_info(
  _ index: UInt32, _ info: UnsafeMutablePointer<bsoup_method_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let method = try MethodList.declaration(index)
    var value = bsoup_method_info()
    value.base = method.base.rawValue
    value.min_models = UInt32(clamping: method.models.lowerBound)
    value.max_models = UInt32(clamping: method.models.upperBound)
    value.negative = method.negative.rawValue
    value.for_soups = method.isForSoups ? 1 : 0
    value.random = method.isRandom ? 1 : 0
    value.parameter_count = UInt32(clamping: method.parameters.count)
    value.name = MethodList.pointer(method.name)
    value.summary = MethodList.pointer(method.summary)
    try Structs.write(value, to: info, "bsoup_method_info")
  }
}

@c @implementation
public func bsoup_method_parameter(
  _ method: UInt32, _ index: UInt32, _ info: UnsafeMutablePointer<bsoup_parameter_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let method = try MethodList.declaration(method)
    guard method.parameters.indices.contains(Int(index)) else {
      throw .notFound("\(method.name) has \(method.parameters.count) parameters; there is no number \(index)")
    }
    let parameter = method.parameters[Int(index)]
    var value = bsoup_parameter_info()
    value.is_flag = parameter.kind == .flag ? 1 : 0
    value.per_model = parameter.scope == .perModel ? 1 : 0
    value.is_required = parameter.defaultValue == nil ? 1 : 0
    value.name = MethodList.pointer(parameter.name)
    value.summary = MethodList.pointer(parameter.summary)
    value.default_value = parameter.defaultValue ?? .nan
    value.minimum = parameter.range.lowerBound
    value.maximum = parameter.range.upperBound
    try Structs.write(value, to: info, "bsoup_parameter_info")
  }
}

/// The library's methods, and their texts as C strings that live as long as the process.
private enum MethodList {
  private static let texts: [String: KeptText] = {
    var texts: [String: KeptText] = [:]
    for method in MergeMethods.declarations {
      for text in [method.name, method.summary] + method.parameters.flatMap({ [$0.name, $0.summary] }) {
        if texts[text] == nil { texts[text] = KeptText(text) }
      }
    }
    return texts
  }()

  static func declaration(_ index: UInt32) throws(BoneSoupError) -> MethodDeclaration {
    let all = MergeMethods.declarations
    guard all.indices.contains(Int(index)) else {
      throw .notFound("there are \(all.count) merge methods, and none of number \(index)")
    }
    return all[Int(index)]
  }

  static func pointer(_ text: String) -> UnsafePointer<CChar> { texts[text]?.pointer ?? StaticText.empty }
}
