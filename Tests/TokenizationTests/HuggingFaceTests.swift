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

  /// Nothing to do where no file is named; not skipped either, since nothing is missing.
  @Test func everyCaseOfTheNamedFile() throws {
    guard let path = Self.namedFile else { return }
    let (cases, differing) = try CaseFile(path: path).check()
    print("\(cases) cases, \(differing) differences")
    #expect(cases > 0)
  }
}
