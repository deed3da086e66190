/// A tensor's name and what is read out of it.
struct TensorName {
  let text: String
  /// FNV-1a of the UTF-8, 64 bits: with a seed it decides what is drawn for the tensor.
  let hash: UInt64
  /// The first part between dots that is a number, as in "model.layers.3.mlp.up_proj.weight".
  let layer: Int?

  init(_ bytes: some Collection<UInt8>) {
    text = String(decoding: bytes, as: UTF8.self)
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    self.hash = hash
    layer =
      text.split(separator: ".").lazy.compactMap { part in
        part.utf8.count <= 6 && part.utf8.allSatisfy { (48...57).contains($0) } ? Int(part) : nil
      }.first
  }

  /// The same name in another layer; itself outside of the layers.
  func inLayer(_ number: Int) -> String {
    guard let layer else { return text }
    var isDone = false
    return text.split(separator: ".", omittingEmptySubsequences: false).map { part in
      guard !isDone, !part.isEmpty, part.utf8.count <= 6, Int(part) == layer else { return String(part) }
      isDone = true
      return "\(number)"
    }.joined(separator: ".")
  }

  /// Whether it stands before the layers rather than after them, where it is in none.
  var isBeforeLayers: Bool { ["embed", "wte", "wpe"].contains { text.contains($0) } }

  init(_ name: String) { self.init(Array(name.utf8)) }
}
