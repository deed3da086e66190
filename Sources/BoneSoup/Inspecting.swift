import CBoneSoup
import Checkpoints
import Platform
import Soups
import Tokenization
import Transformer

// Chapter 11 of the header: inspecting.

@c @implementation
public func bsoup_soup_get_info(_ soup: OpaquePointer!, _ info: UnsafeMutablePointer<bsoup_soup_info>!) -> bsoup_status
{
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    let soup = box.soup
    let config = soup.base.config
    var value = bsoup_soup_info()
    value.weights = Arguments.formatNumber(soup.base.format)
    value.objective_count = UInt32(soup.objectives.count)
    value.backbone_count = UInt32(soup.backbones.count)
    value.preset_count = UInt32(clamping: soup.presets.count)
    value.vocabulary = UInt32(config.vocabularySize)
    value.layers = UInt32(config.layerCount)
    value.hidden = UInt32(config.hiddenSize)
    value.heads = UInt32(config.headCount)
    value.kv_heads = UInt32(config.keyValueHeadCount)
    value.head_size = UInt32(config.headSize)
    value.context = UInt32(config.contextLength)
    value.has_tokenizer = soup.base.tokenizer == nil ? 0 : 1
    value.live = soup.isLowRank ? 1 : 0
    value.parameters = UInt64(config.parameterCount)
    value.memory = UInt64(soup.base.weights.byteCount + (soup.adapters?.byteCount ?? 0))
    value.condition = soup.matrix?.conditionNumber ?? 0
    value.max_abs_coefficient = soup.guardRails.maxAbsCoefficient ?? 0
    value.on_violation = UInt32(soup.guardRails.onViolation == .clamp ? BSOUP_GUARD_CLAMP : BSOUP_GUARD_REJECT)
    value.model_type = box.pointer(config.modelType)
    try Structs.write(value, to: info, "bsoup_soup_info")
  }
}

/// Element `index` of a list that the host asks about.
private func element<Value>(
  _ list: [Value], _ index: UInt32, _ name: StaticString
) throws(BoneSoupError) -> Value {
  guard list.indices.contains(Int(index)) else {
    throw .notFound("there is no \(name) \(index); the soup has \(list.count)")
  }
  return list[Int(index)]
}

@c @implementation
public func bsoup_soup_objective(
  _ soup: OpaquePointer!, _ index: UInt32, _ info: UnsafeMutablePointer<bsoup_objective_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    let soup = box.soup
    let objective = try element(soup.objectives, index, "objective")
    var value = bsoup_objective_info()
    value.name = box.pointer(objective.name)
    value.label = box.pointer(objective.label)
    value.description = box.pointer(objective.description)
    // Before there is a matrix, only what the objective itself says.
    value.default_weight = objective.defaultValue ?? 0
    if soup.matrix != nil, let solver = try? soup.solver() {
      value.default_weight = solver.defaultPreference[Int(index)]
    }
    value.minimum = objective.minimum
    value.maximum = objective.maximum
    value.step = objective.step
    value.floor = objective.floor ?? .nan
    value.norm_mean = objective.normalization?.mean ?? .nan
    value.norm_std = objective.normalization?.deviation ?? .nan
    value.extrapolation = soup.extrapolation?.factors[Int(index)] ?? 1
    try Structs.write(value, to: info, "bsoup_objective_info")
  }
}

@c @implementation
public func bsoup_soup_backbone(
  _ soup: OpaquePointer!, _ index: UInt32, _ info: UnsafeMutablePointer<bsoup_backbone_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    let soup = box.soup
    let backbone = try element(soup.backbones, index, "backbone")
    var value = bsoup_backbone_info()
    value.path = box.pointer(backbone.path)
    value.parameters = UInt64(backbone.parameterCount(soup.base.config))
    if case .lowRank(let adapter) = backbone.content {
      value.low_rank = 1
      value.rank = UInt32(clamping: adapter.modules.map(\.rank).max() ?? 0)
      value.module_count = UInt32(clamping: adapter.modules.count)
    }
    try Structs.write(value, to: info, "bsoup_backbone_info")
  }
}

@c @implementation
public func bsoup_soup_matrix(
  _ soup: OpaquePointer!, _ matrix: UnsafeMutablePointer<Double>!, _ count: UInt32
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let soup = try Handles.take(soup, SoupBox.self).soup
    guard let known = soup.matrix else { throw .notFound("the soup has no backbone matrix") }
    try Arguments.copy(known.rows.flatMap { $0 }, to: matrix, count, "the matrix")
  }
}

@c @implementation
public func bsoup_soup_preset(
  _ soup: OpaquePointer!, _ index: UInt32, _ name: UnsafeMutablePointer<UnsafePointer<CChar>?>!,
  _ preference: UnsafeMutablePointer<Double>!, _ count: UInt32
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    let preset = try element(box.soup.presets, index, "preset")
    if preference != nil { try Arguments.copy(preset.preference, to: preference, count, "the preset") }
    name?.pointee = box.pointer(preset.name)
  }
}

@c @implementation
public func bsoup_soup_move_slider(
  _ soup: OpaquePointer!, _ preference: UnsafeMutablePointer<Double>!, _ count: UInt32, _ index: UInt32,
  _ value: Double
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let soup = try Handles.take(soup, SoupBox.self).soup
    guard Int(count) == soup.objectives.count else {
      throw .mismatch("there are \(soup.objectives.count) objectives, and room for \(count) parts")
    }
    let room = try Arguments.room(preference, Int(count), "preference")
    let moved = try soup.moving(Int(index), to: value, from: Array(room))
    for (index, part) in moved.enumerated() { room[index] = part }
  }
}

/// Hands out as much as there is room for, and how much there is.
private func give<Value: BitwiseCopyable>(
  _ values: UnsafeBufferPointer<Value>, to room: UnsafeMutableRawBufferPointer,
  _ count: UnsafeMutablePointer<Int>
) {
  let bytes = min(values.count * MemoryLayout<Value>.stride, room.count)
  if bytes > 0 { room.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(values)[..<bytes])) }
  count.pointee = values.count
}

@c @implementation
public func bsoup_soup_tokenize(
  _ soup: OpaquePointer!, _ text: UnsafePointer<CChar>!, _ size: Int, _ tokenize: UInt32, _ cancel: OpaquePointer!,
  _ tokens: UnsafeMutablePointer<Int32>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> bsoup_status {
  count?.pointee = 0
  return Call.run { (call) throws(BoneSoupError) in
    let target = try Arguments.required(count, "count")
    let soup = try Handles.take(soup, SoupBox.self).soup
    let flags = try TokenizeFlags(tokenize)
    let room = try Arguments.room(tokens, capacity, "tokens")
    var found = try Vector<Int32>(allocator: soup.engine.allocator, purpose: "a text's tokens")
    try soup.base.requireTokenizer().encode(
      try Arguments.text(text, size, "text"), addSpecial: flags.addsSpecial, parseSpecial: flags.parsesSpecial,
      into: &found, monitor: try call.monitor(cancel))
    give(found.span, to: UnsafeMutableRawBufferPointer(room), target)
  }
}

@c @implementation
public func bsoup_soup_detokenize(
  _ soup: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ token_count: Int, _ detokenize: UInt32,
  _ text: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ size: UnsafeMutablePointer<Int>!
) -> bsoup_status {
  size?.pointee = 0
  return Call.run { (call) throws(BoneSoupError) in
    let target = try Arguments.required(size, "size")
    let soup = try Handles.take(soup, SoupBox.self).soup
    let skipsSpecial = try Arguments.flags(detokenize, among: Int(BSOUP_DETOKENIZE_SKIP_SPECIAL), "detokenize") != 0
    let room = try Arguments.room(text, capacity, "text")
    var found = try Vector<UInt8>(allocator: soup.engine.allocator, purpose: "a text")
    try soup.base.requireTokenizer().decode(
      try Arguments.values(tokens, token_count, "tokens"), skipSpecial: skipsSpecial, into: &found)
    give(found.span, to: UnsafeMutableRawBufferPointer(room), target)
  }
}

@c @implementation
public func bsoup_soup_token(
  _ soup: OpaquePointer!, _ token: Int32, _ bytes: UnsafeMutablePointer<CChar>!, _ capacity: Int,
  _ size: UnsafeMutablePointer<Int>!, _ special: UnsafeMutablePointer<UInt32>!
) -> bsoup_status {
  size?.pointee = 0
  return Call.run { (call) throws(BoneSoupError) in
    let target = try Arguments.required(size, "size")
    let soup = try Handles.take(soup, SoupBox.self).soup
    let tokenizer = try soup.base.requireTokenizer()
    guard tokenizer.piece(token) != nil else {
      throw .notFound("token \(token) is not in the tokenizer's vocabulary of \(tokenizer.vocabularySize)")
    }
    let room = try Arguments.room(bytes, capacity, "bytes")
    var found = try Vector<UInt8>(allocator: soup.engine.allocator, purpose: "a token's bytes")
    try tokenizer.appendBytes(of: token, to: &found)
    special?.pointee = tokenizer.isSpecial(token) ? 1 : 0
    give(found.span, to: UnsafeMutableRawBufferPointer(room), target)
  }
}

@c @implementation
public func bsoup_soup_end_tokens(
  _ soup: OpaquePointer!, _ tokens: UnsafeMutablePointer<UnsafePointer<Int32>?>!, _ count: UnsafeMutablePointer<Int>!
) -> bsoup_status {
  tokens?.pointee = nil
  count?.pointee = 0
  return Call.run { (call) throws(BoneSoupError) in
    let target = try Arguments.required(tokens, "tokens")
    let size = try Arguments.required(count, "count")
    let found = try Handles.take(soup, SoupBox.self).endTokens()
    target.pointee = found.baseAddress
    size.pointee = found.count
  }
}
