import Glibc
import Platform
import TestSupport
import Testing

@testable import Tokenization

/// Against what Hugging Face `tokenizers` gives, there and back.
struct HuggingFaceTests {
  private static let fixtures = SharedFolder.packageRoot + "/Tests/Fixtures/tokenizers/"

  /// `tokenizer_cases.py` makes such a file, of as many cases and of whichever tokenizer one likes.
  private static let namedFile = getenv("BONESOUP_TOKENIZER_CASES").map { String(cString: $0) }

  @Test(arguments: [
    "gpt2", "gpt2-prefix-space", "qwen2", "llama3", "smollm", "llama2", "llama2-metaspace", "metaspace", "odd", "words",
    "spaces",
  ])
  func everyCaseOfTheFixtures(name: String) throws {
    let file = try CaseFile(
      path: Self.fixtures + name + ".cases.json", tokenizerPath: Self.fixtures + name + ".json")
    #expect(try file.check().cases == 160)
  }

  @Test(.enabled(if: namedFile != nil))
  func everyCaseOfTheNamedFile() throws {
    let (cases, differing) = try CaseFile(path: #require(Self.namedFile)).check()
    print("\(cases) cases, \(differing) differences")
    #expect(cases > 0)
  }
}
