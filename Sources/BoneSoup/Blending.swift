import CBoneSoup
import Platform
import Soups

// Chapter 7 of the header: preferences and blends.

private var blendDefaults: bsoup_blend_options {
  bsoup_blend_options(
    struct_size: UInt32(MemoryLayout<bsoup_blend_options>.size), kind: UInt32(BSOUP_BLEND_AUTO), named: nil,
    preference: nil, coefficients: nil, preset: nil, layer_multipliers: nil, named_count: 0, preference_count: 0,
    coefficient_count: 0, layer_multiplier_count: 0, weights: UInt32(BSOUP_FORMAT_DEFAULT), background: 0, cancel: nil,
    progress: nil, progress_context: nil, method: nil)
}

@c @implementation
public func bsoup_blend_options_init(_ options: UnsafeMutablePointer<bsoup_blend_options>!, _ struct_size: Int) {
  Structs.initialize(options, struct_size, blendDefaults)
}

extension BlendRequest {
  /// No soup has more backbones × layers.
  private static let multiplierLimit = 64 * 1024

  /// Of a host's options that say which blend alone.
  init(_ pointer: UnsafePointer<bsoup_blend_options>?) throws(BoneSoupError) {
    try self.init(Structs.read(pointer, blendDefaults, "bsoup_blend_options", added: \.method))
  }

  init(_ raw: bsoup_blend_options) throws(BoneSoupError) {
    self.init()
    switch Int(raw.kind) {
    case Int(BSOUP_BLEND_AUTO): kind = .automatic
    case Int(BSOUP_BLEND_FOLDED): kind = .folded
    case Int(BSOUP_BLEND_LIVE): kind = .live
    default: throw .invalidArgument("kind is \(raw.kind), which is no BSOUP_BLEND")
    }
    let isGiven = [raw.named != nil, raw.preference != nil, raw.coefficients != nil, raw.preset != nil]
    guard isGiven.count(where: { $0 }) <= 1 else {
      throw .invalidArgument("more than one of named, preference, coefficients and preset are given; give one")
    }
    func numbers(
      _ pointer: UnsafePointer<Double>?, _ count: UInt32, _ name: StaticString
    ) throws(BoneSoupError) -> [Double] {
      guard count <= Soup.backboneLimit else {
        throw .mismatch("\(count) numbers in \(name): a soup has at most \(Soup.backboneLimit)")
      }
      return Array(try Arguments.values(pointer, Int(count), name))
    }
    if raw.named != nil || raw.named_count > 0 {
      guard raw.named_count <= Soup.backboneLimit else {
        throw .mismatch("\(raw.named_count) named values: a soup has at most \(Soup.backboneLimit) objectives")
      }
      var values: [(name: String, value: Double)] = []
      for value in try Arguments.values(raw.named, Int(raw.named_count), "named") {
        values.append((try Arguments.string(value.name, "an objective's name"), value.value))
      }
      point = .named(values)
    } else if raw.preference != nil || raw.preference_count > 0 {
      point = .preference(try numbers(raw.preference, raw.preference_count, "preference"))
    } else if raw.coefficients != nil || raw.coefficient_count > 0 {
      point = .coefficients(try numbers(raw.coefficients, raw.coefficient_count, "coefficients"))
    } else if raw.preset != nil {
      point = .preset(try Arguments.string(raw.preset, "preset"))
    }
    if raw.layer_multipliers != nil || raw.layer_multiplier_count > 0 {
      guard raw.layer_multiplier_count <= Self.multiplierLimit else {
        throw .mismatch("\(raw.layer_multiplier_count) layer multipliers are more than any soup has use for")
      }
      layerMultipliers = Array(
        try Arguments.values(raw.layer_multipliers, Int(raw.layer_multiplier_count), "layer_multipliers"))
    }
    format = try Arguments.format(raw.weights, "weights")
    isInBackground = try Arguments.flag(raw.background, "background")
    if raw.method != nil { method = .some(try BlendMethod.make(raw.method)) }
  }
}

@c @implementation
public func bsoup_blend_create(
  _ soup: OpaquePointer!, _ options: UnsafePointer<bsoup_blend_options>!,
  _ blend: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  Call.making(blend, "blend") { (call) throws(BoneSoupError) in
    let soup = try Handles.take(soup, SoupBox.self).soup
    let raw = try Structs.read(options, blendDefaults, "bsoup_blend_options", added: \.method)
    let request = try BlendRequest(raw)
    let progress = call.progress(
      raw.progress, raw.progress_context, isOnCallersThread: !request.isInBackground)
    let made = try Blend(soup, request, token: try Handles.token(raw.cancel), progress: progress)
    if made.resolution.adjustments.contains(.clamped) {
      call.log(.information, "a guard rail moved the preference", soup.engine)
    }
    return made
  }
}

@c @implementation
public func bsoup_blend_wait(_ blend: OpaquePointer!, _ milliseconds: UInt32) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let blend = try Handles.take(blend, Blend.self)
    _ = try blend.weights(within: milliseconds == .max ? nil : milliseconds)
  }
}

@c @implementation
public func bsoup_blend_free(_ blend: OpaquePointer!) { Handles.free(blend, Blend.self) }

@c @implementation
public func bsoup_blend_memory(
  _ soup: OpaquePointer!, _ options: UnsafePointer<bsoup_blend_options>!, _ bytes: UnsafeMutablePointer<UInt64>!
) -> bsoup_status {
  Call.measuring(bytes) { (call) throws(BoneSoupError) in
    let soup = try Handles.take(soup, SoupBox.self).soup
    let plan = try soup.plan(try BlendRequest(options))
    return plan.byteCount + plan.workByteCount
  }
}

extension bsoup_blend_info {
  /// What a plan says; a blend fills in the rest.
  fileprivate init(_ plan: Blend.Plan) {
    self.init()
    kind = UInt32(plan.kind.rawValue)
    weights = Arguments.formatNumber(plan.format)
    adjustments = plan.resolution.adjustments.rawValue
    objective_count = UInt32(plan.resolution.preference?.count ?? 0)
    backbone_count = UInt32(plan.resolution.coefficients.count)
    base_share = plan.resolution.baseShare
    condition = plan.condition
    memory = UInt64(max(0, plan.byteCount))
  }
}

@c @implementation
public func bsoup_blend_get_info(
  _ blend: OpaquePointer!, _ info: UnsafeMutablePointer<bsoup_blend_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let blend = try Handles.take(blend, Blend.self)
    var value = bsoup_blend_info(blend.plan)
    value.state = bsoup_status(BSOUP_OK)
    do throws(BoneSoupError) { _ = try blend.weights() } catch { value.state = error.status }
    value.progress = value.state == BSOUP_OK ? 1 : blend.progress
    Structs.text72(blend.fingerprint.description, into: &value.fingerprint)
    try Structs.write(value, to: info, "bsoup_blend_info")
  }
}

@c @implementation
public func bsoup_soup_solve(
  _ soup: OpaquePointer!, _ options: UnsafePointer<bsoup_blend_options>!, _ preference: UnsafeMutablePointer<Double>!,
  _ coefficients: UnsafeMutablePointer<Double>!, _ info: UnsafeMutablePointer<bsoup_blend_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let soup = try Handles.take(soup, SoupBox.self).soup
    let plan = try soup.plan(try BlendRequest(options))
    if info != nil { try Structs.write(bsoup_blend_info(plan), to: info, "bsoup_blend_info") }
    if let preference, let values = plan.resolution.preference {
      for (index, value) in values.enumerated() { preference[index] = value }
    }
    if let coefficients {
      for (index, value) in plan.resolution.coefficients.enumerated() { coefficients[index] = value }
    }
  }
}

@c @implementation
public func bsoup_blend_preference(
  _ blend: OpaquePointer!, _ preference: UnsafeMutablePointer<Double>!, _ count: UInt32
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let blend = try Handles.take(blend, Blend.self)
    try Arguments.copy(blend.plan.resolution.preference ?? [], to: preference, count, "the preference")
  }
}

@c @implementation
public func bsoup_blend_coefficients(
  _ blend: OpaquePointer!, _ coefficients: UnsafeMutablePointer<Double>!, _ count: UInt32
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let blend = try Handles.take(blend, Blend.self)
    try Arguments.copy(blend.plan.resolution.coefficients, to: coefficients, count, "the coefficients")
  }
}
