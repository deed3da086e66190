import Checkpoints
import Kernels
import Platform
import Soups
import TestSupport
import Transformer

@testable import Generation

/// A soup of Tests/Fixtures with an engine of its own.
func openSoup(_ path: String, threads: Int = 2, allocator: Allocator = .system) throws -> Soup {
  let engine = Engine(pool: ThreadPool(threadCount: threads), allocator: allocator)
  return try Soup.open(path, options: OpenOptions(), engine: engine, monitor: .none)
}

extension Soup {
  func blend(_ coefficients: [Double], _ kind: BlendRequest.Kind = .automatic) throws -> Blend {
    var request = BlendRequest()
    request.point = .coefficients(coefficients)
    request.kind = kind
    return try Blend(self, request, token: nil, progress: nil)
  }

  func session(_ coefficients: [Double] = [], _ kind: BlendRequest.Kind = .automatic, context: Int = 128) throws
    -> Session
  {
    try Session(try blend(coefficients, kind), context: context, type: nil)
  }
}

extension Session {
  func append(_ new: [Int32]) throws { try new.withUnsafeBufferPointer { try append($0) } }

  /// Computes what is pending.
  func compute() throws {
    if let failure = Decoding.run([self], monitor: .none)[0] { throw failure }
  }

  /// The logits of the last token.
  func last() throws -> [Float] { Array(try logits(after: nil)) }

  /// Greedy tokens, at most `count`.
  func follow(_ count: Int) throws -> [Int32] {
    var options = GenerationOptions()
    options.ignoresEnd = true
    try begin(options)
    return try (0..<count).map { _ in
      if pendingCount > 0 { try compute() }
      return try next().token
    }
  }
}

/// The tokens of a fixture's text.
func fixtureTokens(_ name: String) throws -> [Int32] {
  try FloatTensors(Fixtures.model(name) + "/expected.safetensors").tokens("tokens")
}
