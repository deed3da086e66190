public import Checkpoints
public import Kernels
public import Platform
public import Transformer

/// How the files of a soup are opened.
public struct OpenOptions: Sendable {
  /// The run-time weight format; nil is the base file's own.
  public var format: WeightFormat?
  public var mode = LoadMode.map
  public var verifiesChecksums = false
  public var verifiesFinite = false
  /// The host's files instead of the file system.
  public var table: FileTable?

  public init() {}

  /// The folder of a path, and the name in it of a path that is a file.
  public func locate(_ path: String) throws(BoneSoupError) -> (folder: FileProvider, file: String?) {
    if let table {
      let root = FileProvider(table: table, mode: mode)
      if root.isFolder(path) { return (try root.folder(path), nil) }
      guard root.exists(path) else { throw .notFound("the table has no file or folder \"\(path.prefix(200))\"") }
      return try split(path) { (folder) throws(BoneSoupError) in folder.isEmpty ? root : try root.folder(folder) }
    }
    let current = try FileProvider(folder: ".", mode: mode)
    if current.isFolder(path) || !current.exists(path) { return (try FileProvider(folder: path, mode: mode), nil) }
    return try split(path) { (folder) throws(BoneSoupError) in
      try FileProvider(folder: folder.isEmpty ? "." : folder, mode: mode)
    }
  }

  private func split(
    _ path: String, _ open: (String) throws(BoneSoupError) -> FileProvider
  ) throws(BoneSoupError) -> (folder: FileProvider, file: String?) {
    guard let slash = path.lastIndex(of: "/") else { return (try open(""), path) }
    let folder = String(path[..<slash])
    return (try open(folder.isEmpty ? "/" : folder), String(path[path.index(after: slash)...]))
  }
}

extension Soup {
  /// Opens a folder with a soup.json, a JSON file of any name, or a plain model folder: a soup without backbones.
  public static func open(
    _ path: String, options: OpenOptions, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) -> Soup {
    let (folder, file) = try options.locate(path)
    if let manifest = file ?? (folder.exists(SoupManifest.fileName) ? SoupManifest.fileName : nil) {
      return try open(manifest: manifest, in: folder, options: options, engine: engine, monitor: monitor)
    }
    guard folder.exists(BaseModel.configName) else {
      throw .notFound(
        "\(folder.describe()) holds neither \(SoupManifest.fileName) nor \(BaseModel.configName): "
          + "it is no soup and no model folder")
    }
    let base = try BaseModel(folder: folder, format: options.format, engine: engine, monitor: monitor)
    if options.verifiesFinite { try base.checkpoint.requireFinite(engine: engine, monitor: monitor) }
    try monitor.report(1)
    return Soup(
      engine: engine, base: base, backbones: [], objectives: [], matrix: nil, extrapolation: nil, guardRails: .none,
      presets: [], adapters: nil)
  }

  private static func open(
    manifest name: String, in folder: FileProvider, options: OpenOptions, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) -> Soup {
    let file = try folder.open(
      name, maximumBytes: SoupManifest.maximumBytes, allocator: engine.allocator, monitor: monitor.silent)
    let manifest = try SoupManifest(file.bytes, file: file.name, allocator: engine.allocator)
    if options.verifiesChecksums {
      for checksum in manifest.checksums { try checksum.verify(in: folder, engine: engine, monitor: monitor) }
    }
    let base = try BaseModel(
      folder: try folder.folder(manifest.base), format: options.format, engine: engine,
      monitor: monitor.part(from: 0, to: 0.7))
    if options.verifiesFinite { try base.checkpoint.requireFinite(engine: engine, monitor: monitor) }
    var backbones: [Backbone] = []
    for (index, path) in manifest.backbones.enumerated() {
      let backbone = try Backbone(path: path, files: folder, base: base, engine: engine, monitor: monitor.silent)
      if options.verifiesFinite { try backbone.requireFinite(engine: engine, monitor: monitor) }
      backbones.append(backbone)
      try monitor.report(0.7 + 0.2 * Double(index + 1) / Double(manifest.backbones.count))
    }
    let solver = manifest.solver
    let adapters = StackedAdapters(backbones, base: base, engine: engine)
    // Here, where it takes a cancel, so that the first blend is as quick as all others.
    _ = try adapters?.stacked(monitor: monitor)
    try monitor.report(1)
    return Soup(
      engine: engine, base: base, backbones: backbones, objectives: solver.objectives, matrix: solver.matrix,
      extrapolation: solver.extrapolation, guardRails: solver.guardRails, presets: manifest.presets,
      adapters: adapters, method: manifest.method)
  }
}
