import JSON
import Platform

extension PreTokenizer {
  private static let supported = [
    "Sequence", "ByteLevel", "Split", "Digits", "Metaspace", "Whitespace", "WhitespaceSplit",
  ]

  /// Reads a file's `pre_tokenizer`; nil is none.
  init(_ value: JSONValue?) throws(BoneSoupError) {
    guard let value else { return }
    for component in try value.components(in: "pretokenizers") {
      switch try component.componentType {
      case "ByteLevel": try appendByteLevel(component)
      case "Split": try appendSplit(component)
      case "Digits":
        try component.requireMembers(["individual_digits"])
        let behavior: SplitBehavior = try component.bool("individual_digits") ? .isolated : .contiguous
        steps.append(.split(.characters(.number), behavior, isInverted: false))
      case "Metaspace": try appendMetaspace(component)
      case "Whitespace":
        try component.requireMembers([])
        steps.append(.split(.wordsAndPunctuation, .removed, isInverted: true))
      case "WhitespaceSplit":
        try component.requireMembers([])
        steps.append(.split(.characters(.space), .removed, isInverted: false))
      case let type: throw component.unsupportedType(type, supported: Self.supported)
      }
    }
  }

  private mutating func appendByteLevel(_ component: JSONValue) throws(BoneSoupError) {
    // trim_offsets is about positions in the text, which are not given out here.
    try component.requireMembers(["add_prefix_space", "use_regex", "trim_offsets"])
    if try component.bool("add_prefix_space") { steps.append(.prefix([0x20], onlyAtStart: false)) }
    if try component.optionalBool("use_regex") ?? true {
      steps.append(.split(.words(.gpt2), .isolated, isInverted: false))
    }
    steps.append(.byteLevel)
  }

  private mutating func appendSplit(_ component: JSONValue) throws(BoneSoupError) {
    try component.requireMembers(["pattern", "behavior", "invert"])
    let name = try component.string("behavior", maxBytes: 100)
    guard let behavior = SplitBehavior(rawValue: name) else {
      throw try component.member("behavior").unsupported("is \(name), which is not supported")
    }
    let pattern = try component.member("pattern")
    let delimiter: Delimiter
    if let expression = try pattern.optionalString("Regex", maxBytes: JSONValue.componentTextLimit) {
      guard let words = WordPattern(expression: expression) else {
        throw pattern.unsupported(
          "is the regular expression \(expression), which is not supported; supported are those of GPT-2, Llama 3 "
            + "and Qwen 2")
      }
      delimiter = .words(words)
    } else {
      delimiter = .literal(try component.componentPattern("pattern"))
    }
    steps.append(.split(delimiter, behavior, isInverted: try component.bool("invert")))
  }

  private mutating func appendMetaspace(_ component: JSONValue) throws(BoneSoupError) {
    try component.requireMembers(["replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"])
    let replacement = try component.componentCharacter("replacement")
    steps.append(.replaceSpaces(replacement))
    switch try MetaspacePrefix(component) {
    case .always: steps.append(.prefix(replacement, onlyAtStart: false))
    case .first: steps.append(.prefix(replacement, onlyAtStart: true))
    case .never: break
    }
    if try component.optionalBool("split") ?? true {
      steps.append(.split(.literal(replacement), .mergedWithNext, isInverted: false))
    }
  }
}

/// Where `Metaspace` puts its replacement in front.
enum MetaspacePrefix {
  case always, first, never

  /// `prepend_scheme`, or in older files `add_prefix_space`.
  init(_ component: JSONValue) throws(BoneSoupError) {
    let addsPrefix = try component.optionalBool("add_prefix_space")
    switch try component.optionalString("prepend_scheme", maxBytes: 100) {
    case nil: self = addsPrefix ?? true ? .always : .never
    case "always" where addsPrefix != false: self = .always
    case "first" where addsPrefix != false: self = .first
    case "never": self = .never
    case let scheme?:
      throw try component.member("prepend_scheme").unsupported(
        "is \(scheme)\(addsPrefix == false ? " and add_prefix_space is false" : ""), which is not supported")
    }
  }
}
