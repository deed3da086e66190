import Platform

/// Members of an object by name and type. Each throws where the value is of another kind, with its path; the required
/// ones also where it is absent; for the optional ones `null` counts as absent.
extension JSONValue {
  /// The member, required, `null` included.
  public func member(_ key: String) throws(BoneSoupError) -> JSONValue {
    try require(.object)
    guard let value = self[key] else { throw missing(key) }
    return value
  }

  /// The member, or nil where it is absent or `null`.
  public func optionalMember(_ key: String) throws(BoneSoupError) -> JSONValue? {
    try require(.object)
    guard let value = self[key], !value.isNull else { return nil }
    return value
  }

  public func int(_ key: String, in range: ClosedRange<Int> = Int.min...Int.max) throws(BoneSoupError) -> Int {
    try member(key).int(in: range)
  }

  public func optionalInt(
    _ key: String, in range: ClosedRange<Int> = Int.min...Int.max
  ) throws(BoneSoupError) -> Int? {
    try optionalMember(key)?.int(in: range)
  }

  public func double(_ key: String) throws(BoneSoupError) -> Double { try member(key).double }

  public func optionalDouble(_ key: String) throws(BoneSoupError) -> Double? { try optionalMember(key)?.double }

  public func bool(_ key: String) throws(BoneSoupError) -> Bool { try member(key).bool }

  public func optionalBool(_ key: String) throws(BoneSoupError) -> Bool? { try optionalMember(key)?.bool }

  public func string(_ key: String, maxBytes: Int) throws(BoneSoupError) -> String {
    try member(key).text(maxBytes: maxBytes)
  }

  public func optionalString(_ key: String, maxBytes: Int) throws(BoneSoupError) -> String? {
    try optionalMember(key)?.text(maxBytes: maxBytes)
  }

  public func array(_ key: String) throws(BoneSoupError) -> JSONValue { try member(key, of: .array) }

  public func optionalArray(_ key: String) throws(BoneSoupError) -> JSONValue? { try optionalMember(key, of: .array) }

  public func object(_ key: String) throws(BoneSoupError) -> JSONValue { try member(key, of: .object) }

  public func optionalObject(_ key: String) throws(BoneSoupError) -> JSONValue? {
    try optionalMember(key, of: .object)
  }

  private func member(_ key: String, of kind: Kind) throws(BoneSoupError) -> JSONValue {
    let value = try member(key)
    try value.require(kind)
    return value
  }

  private func optionalMember(_ key: String, of kind: Kind) throws(BoneSoupError) -> JSONValue? {
    let value = try optionalMember(key)
    try value?.require(kind)
    return value
  }

  private func missing(_ key: String) -> BoneSoupError {
    let path = self.path
    return .malformed("\(document.file): \(path.isEmpty ? key : "\(path).\(key)") is missing")
  }
}
