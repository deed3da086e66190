import CBoneSoup
import Platform
import Soups

// What merge methods there are (chapter 12 of the header), and a soup's (chapter 6).

private var methodDefaults: bsoup_method_options {
  bsoup_method_options(
    struct_size: UInt32(MemoryLayout<bsoup_method_options>.size), parameter_count: 0, name: nil, parameters: nil,
    seed: 0)
}

@c @implementation
public func bsoup_method_options_init(_ options: UnsafeMutablePointer<bsoup_method_options>!, _ struct_size: Int) {
  Structs.initialize(options, struct_size, methodDefaults)
}

extension BlendMethod {
  /// The host's wish; nil is the plain sum.
  static func make(_ pointer: UnsafePointer<bsoup_method_options>?) throws(BoneSoupError) -> BlendMethod? {
    guard pointer != nil else { return nil }
    let raw = try Structs.read(pointer, methodDefaults, "bsoup_method_options")
    return try make(
      try Arguments.string(raw.name, "a method's name", maximum: 256),
      settings: try ParameterSetting.list(raw.parameters, raw.parameter_count), seed: raw.seed)
  }
}

@c @implementation
public func bsoup_soup_set_method(
  _ soup: OpaquePointer!, _ method: UnsafePointer<bsoup_method_options>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    let method = try BlendMethod.make(method)
    try box.build { (soup) throws(BoneSoupError) in (soup.with(method: method), ()) }
  }
}

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
