import JSON
import Kernels
import Platform
import TestSupport
import Testing
import Transformer

@testable import Soups

/// The committed fixtures of merge methods, made by Tests/Fixtures/make_merges.py.
enum MergeFixture {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let method: String
    let models: Int
    let hasBase: Bool
    let seed: UInt64
    let settings: [ParameterSetting]

    var testDescription: String { name }

    var recipe: MergeRecipe {
      var recipe = MergeRecipe(
        method: method, base: hasBase || method == "slerp" ? MergeFixture.path + "/base" : nil,
        models: (0..<models).map { MergeFixture.path + "/tune\($0)" })
      recipe.settings = settings
      recipe.seed = seed
      recipe.type = .f32
      return recipe
    }
  }

  static let path = Fixtures.path + "/merges"

  static let cases: [Case] = (try? read()) ?? []

  private static func read() throws -> [Case] {
    let bytes = try TemporaryFolder.read(path + "/cases.json")
    let buffer = try Buffer(byteCount: bytes.count, allocator: .system, purpose: "cases")
    UnsafeMutableRawBufferPointer(start: buffer.pointer, count: bytes.count).copyBytes(from: bytes)
    let document = try JSONDocument(
      buffer.bytes, owner: buffer, file: "cases.json", maximumBytes: 1 << 20, allocator: .system)
    return try document.root.elements.map { item in
      var settings: [ParameterSetting] = []
      for member in try item.object("parameters").members {
        let name = try member.key.text(maxBytes: 100)
        if member.value.kind == .array {
          for (model, value) in try member.value.elements.enumerated() {
            settings.append(ParameterSetting(name, model: model, values: [try value.double]))
          }
        } else {
          let isFlag = member.value.kind == .bool
          settings.append(
            ParameterSetting(name, values: [isFlag ? (try member.value.bool ? 1 : 0) : try member.value.double]))
        }
      }
      return Case(
        name: try item.string("name", maxBytes: 100), method: try item.string("method", maxBytes: 100),
        models: try item.int("models"), hasBase: try item.bool("base"), seed: UInt64(try item.int("seed")),
        settings: settings)
    }
  }

  static func engine(threads: Int = 2, limit: Int? = nil) -> Engine {
    Engine(pool: ThreadPool(threadCount: threads), allocator: Allocator(limit: limit, host: nil))
  }
}
