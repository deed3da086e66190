public import Platform

extension Blend {
  /// Writes the blend to files that other engines serve, from the files of base and backbones: the folder comes into being
  /// whole or not at all.
  ///
  /// - Parameter path: does not exist, or is an empty folder.
  /// - Returns: what recompression loses; nil where nothing is recompressed.
  public func export(
    to path: String, _ options: ExportOptions, monitor: Monitor
  ) throws(BoneSoupError) -> LowRankReport? {
    switch options.kind {
    case .folder:
      try FolderExport(self, options).run(path, monitor: monitor)
      return nil
    case .adapter: return try AdapterExport(self, options).run(path, monitor: monitor)
    }
  }

  /// Bytes of tensors that `export` would write.
  public func exportByteCount(_ options: ExportOptions) throws(BoneSoupError) -> Int {
    switch options.kind {
    case .folder: try FolderExport(self, options).byteCount()
    case .adapter: try AdapterExport(self, options).byteCount
    }
  }
}
