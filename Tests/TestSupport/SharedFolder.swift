import Glibc

/// The folder of models and data that some tests use where it is there: `$BONESOUP_SHARED`, or `../shared` beside the
/// package.
public enum SharedFolder {
  public static let path: String? = {
    let candidate = getenv("BONESOUP_SHARED").map { String(cString: $0) } ?? packageRoot + "/../shared"
    return access(candidate + "/models", R_OK) == 0 ? candidate : nil
  }()

  /// Where Package.swift lies.
  public static let packageRoot: String = {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(3)
    return "/" + parts.joined(separator: "/")
  }()
}
