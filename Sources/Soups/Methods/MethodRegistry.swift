import Platform

/// Every merge method, by name: adding one is a file and a line here.
enum MethodRegistry {
  static let all: [any MergeMethod] = [
    Linear(), TaskArithmetic(), Slerp(), NuSlerp(), Ties(), DareLinear(), DareTies(), Della(), DellaLinear(),
    Breadcrumbs(), BreadcrumbsTies(), Sce(), ModelStock(), Passthrough(), IsoC(), Tsv(), Knots(),
  ]

  static func method(_ name: String) throws(BoneSoupError) -> any MergeMethod {
    guard let method = all.first(where: { $0.declaration.name == name }) else {
      throw .notFound(
        "\"\(name.prefix(100))\" is no merge method; there are " + all.map(\.declaration.name).joined(separator: ", "))
    }
    return method
  }

  /// Fills a tensor's values up with defaults, and checks names and ranges.
  ///
  /// - Parameter given: values by name, one or one for each model; nil stands for one that is not given.
  static func values(
    _ declaration: MethodDeclaration, given: [String: [Double?]], modelCount: Int, tensor: String
  ) throws(BoneSoupError) -> MethodValues {
    var values = MethodValues()
    for parameter in declaration.parameters {
      let count = parameter.scope == .perModel ? modelCount : 1
      var numbers: [Double] = []
      for index in 0..<count {
        let candidates = given[parameter.name] ?? []
        let found = index < candidates.count ? candidates[index] : nil
        guard let number = found ?? parameter.defaultValue else {
          throw .invalidArgument(
            "\(declaration.name) needs \(parameter.name)"
              + (parameter.scope == .perModel ? " of every model" : "") + "; none is given for \(tensor)")
        }
        guard parameter.range.contains(number), parameter.kind == .number || number == 0 || number == 1 else {
          throw .invalidArgument(
            "\(parameter.name) is \(number) for \(tensor); \(declaration.name) takes "
              + (parameter.kind == .flag
                ? "0 or 1" : "\(parameter.range.lowerBound) to \(parameter.range.upperBound)"))
        }
        numbers.append(number)
      }
      values.numbers[parameter.name] = numbers
    }
    return values
  }
}

/// What merge methods there are, for those who list them.
public enum MergeMethods {
  public static let declarations: [MethodDeclaration] = MethodRegistry.all.map(\.declaration)
}
