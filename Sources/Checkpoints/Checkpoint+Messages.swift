import Platform

extension Checkpoint {
  /// The error for a folder without safetensors: says what is there instead, and what to do.
  static func nothingToRead(in folder: FileProvider) -> BoneSoupError {
    for name in ["pytorch_model.bin", "pytorch_model.bin.index.json"] where folder.exists(name) {
      return unsupportedFile(folder.describe(name))
    }
    if let name = folder.firstName(endingIn: ".gguf") { return unsupportedFile(folder.describe(name)) }
    if let name = folder.firstName(endingIn: ".safetensors") {
      return .notFound(
        "\(folder.describe()) has neither \(singleName) nor \(indexName); to open its \(name), give that file's path")
    }
    return .notFound("\(folder.describe()) has neither \(singleName) nor \(indexName)")
  }

  static func unsupportedFile(_ path: String) -> BoneSoupError {
    if path.hasSuffix(".gguf") {
      return .unsupported("\(path) is a GGUF file, which a later version will read; safetensors files are needed")
    }
    return .unsupported(
      "\(path) is a PyTorch file, which can hold code and is never read; convert the model to safetensors "
        + "(save_pretrained with safe_serialization=True)")
  }
}
