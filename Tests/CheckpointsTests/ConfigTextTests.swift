import Platform
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct ConfigTextTests {
  private func changed(_ text: String, _ change: (inout ConfigText) throws -> Void) throws -> String {
    let folder = try TemporaryFolder()
    try folder.write("config.json", text)
    var config = try ConfigText(
      of: FileProvider(folder: folder.path), name: "config.json", allocator: .system, monitor: .none)
    try change(&config)
    return String(decoding: config.bytes, as: UTF8.self)
  }

  @Test(arguments: [
    (#"{"a": 1, "dtype": "float32"}"#, #"{"a": 1, "dtype": "bfloat16"}"#),
    (#"{"torch_dtype":null}"#, #"{"torch_dtype":"bfloat16"}"#),
    (#"{ "torch_dtype" : "float16", "dtype": "auto" }"#, #"{ "torch_dtype" : "bfloat16", "dtype": "bfloat16" }"#),
    (#"{"dtype": "a\"b", "z": {"dtype": "float32"}}"#, #"{"dtype": "bfloat16", "z": {"dtype": "float32"}}"#),
    (#"{"dtype": 5}"#, #"{"dtype": "bfloat16"}"#),
    ("{}", "{\n  \"torch_dtype\": \"bfloat16\"}"),
    (#"{"a": []}"#, "{\n  \"torch_dtype\": \"bfloat16\",\"a\": []}"),
    (#"{"dtype": {}}"#, "{\n  \"torch_dtype\": \"bfloat16\",\"dtype\": {}}"),
    (#"{"dtype": "", "é": "\u00e9"}"#, #"{"dtype": "bfloat16", "é": "\u00e9"}"#),
  ])
  func oneMemberIsSetAndTheRestStays(_ before: String, _ after: String) throws {
    #expect(try changed(before) { try $0.set("torch_dtype", "dtype", to: "\"bfloat16\"") } == after)
  }

  @Test func severalMembersAreSet() throws {
    let text = try changed(#"{"tie_word_embeddings": true, "dtype": "float32"}"#) {
      try $0.set("tie_word_embeddings", to: "false")
      try $0.set("dtype", to: "\"float16\"")
      try $0.set("added", to: "1")
    }
    #expect(text == "{\n  \"added\": 1,\"tie_word_embeddings\": false, \"dtype\": \"float16\"}")
  }

  @Test(arguments: ["", "[]", "{", "\u{FEFF}{}", #"{"a": 1,}"#])
  func whatIsNoObjectIsRefused(_ text: String) throws {
    #expect(failure { try changed(text) { try $0.set("dtype", to: "1") } } != "")
  }
}
