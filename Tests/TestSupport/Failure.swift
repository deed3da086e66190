import Platform

/// What a body throws, as "kind: message", such as "mismatch: the matrix is …"; "" where it throws nothing.
public func failure<Value>(_ body: () throws -> Value) -> String {
  do {
    _ = try body()
    return ""
  } catch let error as BoneSoupError {
    let kind = "\(error)".prefix { $0 != "(" }
    return "\(kind): \(error.message)"
  } catch {
    return "\(error)"
  }
}
