import JSON
import Platform

/// Text to token ids and back, exactly as Hugging Face `tokenizers` does it from the same `tokenizer.json`.
///
/// Supported are BPE models with the components that the README lists; any other is refused by its name. Immutable, so
/// any thread may use it.
public final class Tokenizer: @unchecked Sendable {
  /// Longer files are refused.
  public static let maximumFileBytes = 256 << 20

  let model: BytePairModel
  let added: AddedTokens
  let normalizer: Normalizer
  let preTokenizer: PreTokenizer
  let template: Template
  let decoder: Decoder
  let decoded: DecodedPieces
  let classes: CharacterClasses
  let allocator: Allocator

  /// Reads a `tokenizer.json`.
  ///
  /// `truncation` and `padding` of the file are not used. Where an added token's id is another than the one that
  /// `model.vocab` or another token has, the file is refused.
  /// - Parameters:
  ///   - bytes: the file's text; not used after the call, `owner` keeps it alive during it.
  ///   - file: names the file in messages.
  public init(
    json bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable, file: String, allocator: Allocator,
    monitor: Monitor = .none
  ) throws(BoneSoupError) {
    let document = try JSONDocument(
      bytes, owner: owner, file: file, maximumBytes: Self.maximumFileBytes, allocator: allocator,
      monitor: monitor.part(from: 0, to: 0.2))
    let root = document.root
    if let version = try root.optionalString("version", maxBytes: 100), version != "1.0" {
      throw try root.member("version").unsupported("is \(version); only 1.0 is supported")
    }
    self.allocator = allocator
    classes = try CharacterClasses(allocator: allocator)
    normalizer = try Normalizer(root.optionalObject("normalizer"))
    preTokenizer = try PreTokenizer(root.optionalObject("pre_tokenizer"))
    let template = try Template(root.optionalObject("post_processor"))
    decoder = try Decoder(root.optionalObject("decoder"))
    var model = try BytePairModel(
      root.object("model"), file: file, allocator: allocator, monitor: monitor.part(from: 0.2, to: 0.9))
    added = try AddedTokens.read(
      root.optionalArray("added_tokens"), &model.vocabulary, normalizer: normalizer, classes: classes,
      allocator: allocator, monitor: monitor)
    for id in template.before + template.after where model.vocabulary[Int(id)] == nil {
      throw try root.member("post_processor").malformed("adds the token \(id), which does not exist")
    }
    self.template = template
    decoded = try DecodedPieces(
      model.vocabulary, decoder, special: added.tokens, allocator: allocator,
      monitor: monitor.part(from: 0.9, to: 1))
    self.model = model
    try monitor.report(1)
  }

  /// The highest id + 1, added tokens included.
  public var vocabularySize: Int { model.vocabulary.count }

  /// The bytes of a token as the vocabulary spells it, valid as long as the tokenizer; nil for ids without a token.
  public func piece(_ token: Int32) -> UnsafeBufferPointer<UInt8>? { model.vocabulary[Int(token)] }

  /// Whether the token is an added one that is marked special.
  public func isSpecial(_ token: Int32) -> Bool { decoded[token]?.isSpecial ?? false }

  /// The token that the vocabulary spells so; nil where there is none.
  public func tokenId(of piece: UnsafeBufferPointer<UInt8>) -> Int32? {
    added.id(of: piece) ?? model.vocabulary.id(of: piece).map { Int32($0) }
  }

  /// The token that the vocabulary spells so; nil where there is none.
  public func tokenId(of piece: String) -> Int32? {
    Array(piece.utf8).withUnsafeBufferPointer { tokenId(of: $0) }
  }

  /// The ids that `encode` puts before and after a text.
  public var specialTokensBefore: [Int32] { template.before }
  public var specialTokensAfter: [Int32] { template.after }
}
