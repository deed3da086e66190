import Checkpoints
import Platform

extension FileMerge {
  /// The recipe's fingerprint: method, parameters, seed, type, and the names and sizes of the source files. Where they lie,
  /// and what is in them, does not change it.
  public var fingerprint: Fingerprint {
    var builder = FingerprintBuilder(domain: "merge of files")
    builder.add("method", text: method.declaration.name)
    builder.add("seed", integers: [Int64(bitPattern: recipe.seed)])
    builder.add("type", text: recipe.type?.name ?? "as stored")
    for setting in recipe.settings {
      builder.add("parameter", text: setting.name)
      builder.add("model", integers: [Int64(setting.model ?? -1)])
      builder.add("filter", text: setting.filter ?? "*")
      builder.add("values", doubles: setting.values)
    }
    for range in recipe.layers ?? [] {
      builder.add("layers", integers: [Int64(range.slice), Int64(range.first), Int64(range.count)])
    }
    for file in files {
      builder.add("file", text: Self.lastPart(file.name))
      builder.add("size", integers: [Int64(file.bytes.count)])
    }
    return builder.fingerprint
  }

  private var files: [FileBytes] { parts.flatMap(\.inputs.files) }

  func card(hashesSources: Bool, pool: ThreadPool, monitor: Monitor) throws(BoneSoupError) -> ModelCard {
    let declaration = method.declaration
    var card = ModelCard(
      library: "transformers", title: "A merge by \(declaration.name)",
      summary: "Made by BoneSoup: \(declaration.summary).")
    let name = inputs.base.map { Self.lastPart($0.path) }
    card.baseName = name
    var notes = ["| model | |\n|---|---|"]
    if let name, recipe.layers == nil { notes.append("| base | \(ModelCard.cell(name)) |") }
    for (place, path) in recipe.models.enumerated() {
      if recipe.layers == nil, !inputs.places.contains(place) { continue }
      let layers = (recipe.layers?[place]).map { range in
        ", layers \(range.first) to \(range.first + range.count - 1) in slice \(range.slice)"
      }
      notes.append("| \(place) | \(ModelCard.cell(Self.lastPart(path)))\(layers ?? "") |")
    }
    card.notes.append(notes.joined(separator: "\n"))
    if !recipe.settings.isEmpty {
      var rows = ["| parameter | model | tensors | value |\n|---|---|---|---|"]
      for setting in recipe.settings {
        let values = setting.values.map { "\($0)" }.joined(separator: ", ")
        rows.append(
          "| \(ModelCard.cell(setting.name)) | \(setting.model.map { "\($0)" } ?? "all") | "
            + "\(ModelCard.cell(setting.filter ?? "all")) | \(values) |")
      }
      card.notes.append(rows.joined(separator: "\n"))
    }
    if declaration.isRandom { card.notes.append("Seed of the random masks: \(recipe.seed).") }
    card.notes.append("Fingerprint of the recipe: \(fingerprint)")
    let files = files
    let digests = hashesSources ? try ContentHash.digests(of: files, pool: pool, monitor: monitor) : []
    for (index, file) in files.enumerated() {
      card.files.append((Self.lastParts(file.name), file.bytes.count, index < digests.count ? digests[index] : nil))
    }
    return card
  }

  /// Where it lies on this machine is nobody's business.
  private static func lastPart(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  private static func lastParts(_ path: String) -> String {
    path.split(separator: "/").suffix(2).joined(separator: "/")
  }
}
