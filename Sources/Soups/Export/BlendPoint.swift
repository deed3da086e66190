public import Platform

/// A point of a soup that can be written to files, whether or not a blend was made there.
public struct BlendPoint: Sendable {
  let soup: Soup
  let resolution: Resolution
  /// [backbone][layer] factors of λ; nil is all 1.
  let layerMultipliers: [Float]?
  /// nil is the plain sum.
  let method: BlendMethod?

  /// Of a blend, ready or not.
  public init(_ blend: Blend) {
    soup = blend.soup
    resolution = blend.resolution
    layerMultipliers = blend.gains?.layerMultipliers
    method = blend.plan.method
  }

  /// Of a blend that `request` would make.
  public init(_ soup: Soup, _ request: BlendRequest) throws(BoneSoupError) {
    self.soup = soup
    // In which format it would compute does not matter here.
    var request = request
    request.format = nil
    let plan = try soup.plan(request)
    resolution = plan.resolution
    layerMultipliers = request.layerMultipliers
    method = plan.method
  }

  var mix: WeightMix {
    WeightMix(
      soup, coefficients: resolution.coefficients, baseShare: resolution.baseShare, layerMultipliers: layerMultipliers,
      method: method)
  }

  /// Writes the weights to files that other engines serve, from the files of base and backbones: the folder comes into
  /// being whole or not at all.
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
