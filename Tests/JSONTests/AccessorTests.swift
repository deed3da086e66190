import JSON
import Platform
import Testing

@Suite struct AccessorTests {
  static let text = #"""
    {"hidden_size": 64, "rope_scaling": {"factor": "8", "list": [1, {"x": true}]}, "theta": 1e4, "name": "llama",
     "flag": false, "nothing": null, "fraction": 1.5}
    """#

  @Test func typedMembersAreRead() throws {
    let root = try parse(Self.text)
    #expect(try root.int("hidden_size") == 64 && root.double("theta") == 10000 && root.int("theta") == 10000)
    #expect(try root.string("name", maxBytes: 5) == "llama" && root.bool("flag") == false)
    #expect(try root.optionalInt("nothing") == nil && root.optionalDouble("absent") == nil)
    #expect(try root.optionalBool("nothing") == nil && root.optionalString("absent", maxBytes: 9) == nil)
    #expect(try root.optionalArray("nothing") == nil && root.optionalObject("absent") == nil)
    #expect(try root.member("nothing").isNull && root["absent"] == nil && root["flag"]?["x"] == nil)
  }

  @Test func wrongTypesAreRefusedWithTheirPath() throws {
    let root = try parse(Self.text)
    let scaling = try root.object("rope_scaling")
    func message(_ body: () throws(BoneSoupError) -> Void) -> String {
      do {
        try body()
        return ""
      } catch { return error.message }
    }
    #expect(
      message { () throws(BoneSoupError) in _ = try scaling.double("factor") }
        == "sample.json: rope_scaling.factor must be a number, is a string")
    #expect(
      message { () throws(BoneSoupError) in _ = try scaling.int("low") } == "sample.json: rope_scaling.low is missing")
    #expect(message { () throws(BoneSoupError) in _ = try root.int("low") } == "sample.json: low is missing")
    #expect(
      message { () throws(BoneSoupError) in _ = try root.int("hidden_size", in: 1...32) }
        == "sample.json: hidden_size must be from 1 to 32, is 64")
    #expect(
      message { () throws(BoneSoupError) in _ = try root.optionalBool("hidden_size") }
        == "sample.json: hidden_size must be a boolean, is a number")
    #expect(
      message { () throws(BoneSoupError) in _ = try root.optionalInt("fraction") }
        == "sample.json: fraction must be an integer, is 1.5")
    #expect(
      message { () throws(BoneSoupError) in _ = try root.string("name", maxBytes: 4) }
        == "sample.json: name has 5 bytes; at most 4 are read")
    #expect(
      message { () throws(BoneSoupError) in _ = try root.elements }
        == "sample.json: the document must be an array, is an object")
    let list = Array(try scaling.array("list").elements)
    #expect(
      message { () throws(BoneSoupError) in _ = try list[1].int("x") }
        == "sample.json: rope_scaling.list[1].x must be a number, is a boolean")
    #expect(
      message { () throws(BoneSoupError) in try scaling.refuseMembers(except: ["factor"]) }
        == "sample.json: rope_scaling.list is not known; known here are factor")
    #expect(message { () throws(BoneSoupError) in try root.refuseMembers(except: root.keys) } == "")
  }

  @Test func pathsStayShort() throws {
    var text = "1"
    for _ in 0..<60 { text = "{\"\(String(repeating: "kéy", count: 100))\": [\(text)]}" }
    var value = try parse(text.utf8, maximumDepth: 200).root
    while let inner = JSONValue.first(of: value) { value = inner }
    #expect(value.kind == .number && value.path.utf8.count <= 220)
  }
}

extension JSONValue {
  fileprivate var keys: [String] { (try? members.map { try $0.key.text(maxBytes: 100) }) ?? [] }

  fileprivate static func first(of value: JSONValue) -> JSONValue? {
    switch value.kind {
    case .array: (try? value.elements).flatMap { Array($0).first }
    case .object: (try? value.members).flatMap { Array($0).first?.value }
    default: nil
    }
  }
}
