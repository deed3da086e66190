/// Where the library's few remarks go: to the host's callback, or nowhere.
public struct Log: @unchecked Sendable {
  public enum Level: Int32, Sendable {
    case information = 0
    case warning = 1
  }

  public static let silent = Log(nil)

  private let sink: ((Level, String) -> Void)?

  public init(_ sink: @escaping (Level, String) -> Void) { self.sink = sink }

  private init(_ sink: ((Level, String) -> Void)?) { self.sink = sink }

  public func write(_ level: Level, _ line: @autoclosure () -> String) {
    if let sink { sink(level, line()) }
  }
}
