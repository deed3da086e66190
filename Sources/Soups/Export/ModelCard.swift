import Checkpoints
import Platform

/// README.md of what is exported: what it is, and the recipe that makes it again.
struct ModelCard {
  /// "library_name: …" of Hugging Face's hub.
  let library: String
  let title: String
  /// What the reader has, in a sentence or two of Markdown.
  let summary: String
  /// Rows of the table of parts: what, coefficient, and where it was.
  var parts: [(name: String, coefficient: Double, path: String)] = []
  /// Rows of the table of preferences; empty where coefficients were given.
  var preference: [(objective: String, part: Double)] = []
  var notes: [String] = []
  /// Rows of the table of source files.
  var files: [(name: String, byteCount: Int, digest: SHA256.Digest?)] = []
  var baseName: String?

  /// Markdown with its YAML head.
  var text: String {
    var text = "---\nlibrary_name: \(library)\ntags:\n- bonesoup\n- merge\n"
    if let baseName { text += "base_model: \(Self.quoted(baseName))\n" }
    text += "---\n# \(title)\n\n\(summary)\n"
    if !preference.isEmpty {
      text += "\n| objective | preference |\n|---|---|\n"
      for (objective, part) in preference { text += "| \(Self.cell(objective)) | \(part) |\n" }
    }
    if !parts.isEmpty {
      text += "\n| part | coefficient | path |\n|---|---|---|\n"
      for (name, coefficient, path) in parts { text += "| \(name) | \(coefficient) | \(Self.cell(path)) |\n" }
    }
    for note in notes { text += "\n\(note)\n" }
    if !files.isEmpty {
      text += "\n| source file | bytes | SHA-256 |\n|---|---|---|\n"
      for (name, count, digest) in files {
        text += "| \(Self.cell(name)) | \(count) | \(digest.map { "\($0)" } ?? "not taken") |\n"
      }
    }
    return text
  }

  /// Text from elsewhere inside a table: no character that means something there.
  static func cell(_ text: String) -> String {
    var cell = ""
    for scalar in text.unicodeScalars.prefix(1024) {
      switch scalar {
      case "|", "`", "<", ">", "[", "]", "*", "_", "\\": cell += "\\" + String(scalar)
      default: cell += scalar.properties.generalCategory == .control ? " " : String(scalar)
      }
    }
    return cell
  }

  /// A YAML string in double quotes.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars.prefix(1024) {
      switch scalar {
      case "\"", "\\": quoted += "\\" + String(scalar)
      default: quoted += scalar.properties.generalCategory == .control ? " " : String(scalar)
      }
    }
    return quoted + "\""
  }
}

extension ModelCard {
  /// The card of a blend.
  init(
    _ point: BlendPoint, library: String, title: String, summary: String, options: ExportOptions,
    sources: ExportSources,
    monitor: Monitor
  ) throws(BoneSoupError) {
    self.init(library: library, title: title, summary: summary)
    let resolution = point.resolution
    let soup = point.soup
    if let preference = resolution.preference {
      self.preference = zip(soup.objectives, preference).map { ($0.name, $1) }
    }
    // Where it lies on this machine is nobody's business.
    let folder = soup.base.name.split(separator: "/").last.map(String.init) ?? soup.base.name
    parts.append(("base", resolution.baseShare, options.baseName ?? folder))
    for (index, backbone) in soup.backbones.enumerated() {
      parts.append(("backbone \(index)", resolution.coefficients[index], backbone.path))
    }
    notes.append(Self.arithmetic(point.method))
    if point.layerMultipliers != nil {
      notes.append("The coefficients were multiplied layer by layer; the table shows them without these factors.")
    }
    baseName = options.baseName
    files = try sources.list(hashed: options.hashesSources, pool: soup.engine.pool, monitor: monitor)
  }

  /// How the parts become one.
  private static func arithmetic(_ method: BlendMethod?) -> String {
    guard let method else {
      return "θ = c₀θ₀ + Σ λᵢθᵢ over full backbones + Σ λᵢsᵢUᵢDᵢ over LoRA backbones: summed in f32 in this order, "
        + "rounded once."
    }
    var text = "Merged by `\(method.name)`, the coefficients being its weights, without normalising."
    for setting in method.settings {
      let whose =
        (setting.model.map { " of backbone \($0)" } ?? "") + (setting.filter.map { " where “\(cell($0))”" } ?? "")
      text += " \(cell(setting.name))\(whose) = \(setting.values.map { "\($0)" }.joined(separator: ", "))."
    }
    return text + " Seed \(method.seed)."
  }
}
