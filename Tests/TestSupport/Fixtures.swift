import Glibc
import Platform

/// The committed fixtures: `$BONESOUP_FIXTURES`, or `Tests/Fixtures` of the package.
public enum Fixtures {
  public static let path: String =
    getenv("BONESOUP_FIXTURES").map { String(cString: $0) } ?? SharedFolder.packageRoot + "/Tests/Fixtures"

  public static func model(_ name: String) -> String { path + "/models/" + name }

  public static func adapter(_ model: String, _ name: String) -> String {
    path + "/models/" + model + "/adapters/" + name
  }

  public static func soup(_ name: String) -> String { path + "/soups/" + name }

  /// Every model folder.
  public static let models = [
    "llama2", "llama2-sharded", "llama3", "llama3-rope-parameters", "llama3-bf16", "llama-linear", "qwen2",
    "qwen2-window", "qwen3", "qwen3-window", "mistral", "mistral-f16", "smollm",
  ]
}
