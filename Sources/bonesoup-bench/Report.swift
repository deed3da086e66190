/// All rows, with the machine that they were measured on.
struct Report {
  let machine: Machine
  let model: String
  let weights: String
  let kv: String
  var limits: Limits?
  private var rows: [Row] = []

  init(machine: Machine, model: String, weights: String, kv: String) {
    self.machine = machine
    self.model = model
    self.weights = weights
    self.kv = kv
  }

  mutating func add(_ row: Row) { rows.append(row) }

  mutating func add(
    _ name: String, _ samples: Samples, _ unit: String, lessIsBetter: Bool = false, limit: Row.Limit? = nil
  ) {
    rows.append(Row(name: name, samples: samples, unit: unit, limit: limit, lessIsBetter: lessIsBetter))
  }

  /// The limits themselves, and then what was measured.
  private var lines: [Line] {
    let peaks = limits.map { limits in
      [
        ("streaming read", limits.read, "GB/s"), ("merge of three streams", limits.merge, "GB/s"),
        ("f32 multiply-add", limits.peak(.f32), "GFLOP/s"), ("bf16 dot", limits.peak(.bf16), "GFLOP/s"),
        ("int8 dot", limits.peak(.int8), "GOP/s"), ("int4 dot", limits.peak(.int4), "GOP/s"),
      ].map { Row(name: $0.0, samples: Samples([$0.1 / 1e9]), unit: $0.2) }
    }
    return ((peaks ?? []) + rows).map { row in Line(row: row, limit: limits.flatMap { row.limit?($0) }) }
  }

  private struct Line {
    let row: Row
    let limit: Double?
    var share: Double? { row.share(of: limit) }
  }

  /// Columns aligned, numbers with three to four digits.
  var table: String {
    var cells = [["", "value", "unit", "limit", "reached"]]
    for line in lines {
      cells.append([
        line.row.name, Number.short(line.row.value), line.row.unit, line.limit.map(Number.short) ?? "",
        line.share.map { "\(Int(max(0, min($0, 1e6)) * 100 + 0.5)) %" } ?? "",
      ])
    }
    let widths = (0..<5).map { column in cells.map { $0[column].count }.max() ?? 0 }
    let body = cells.map { cells in
      let name = pad(cells[0], widths[0], right: true)
      let value = pad(cells[1], widths[1], right: false)
      let unit = pad(cells[2], widths[2], right: true)
      let limit = pad(cells[3], widths[3], right: false)
      return "\(name)  \(value) \(unit)  \(limit)  \(pad(cells[4], widths[4], right: false))"
    }
    let head = "\(model): weights \(weights), KV \(kv)\n\(machine.description)\n\n"
    return head + body.joined(separator: "\n") + "\n"
  }

  private func pad(_ text: String, _ width: Int, right: Bool) -> String {
    let blank = String(repeating: " ", count: max(0, width - text.count))
    return right ? text + blank : blank + text
  }

  var json: String {
    let objects = lines.map { line in
      let row = line.row
      var fields = ["\"name\": \(quoted(row.name))", "\"value\": \(Number.json(row.value))"]
      fields.append("\"unit\": \(quoted(row.unit))")
      fields.append("\"limit\": \(line.limit.map(Number.json) ?? "null")")
      fields.append("\"share\": \(line.share.map(Number.json) ?? "null")")
      fields.append("\"low\": \(Number.json(row.samples.lowerQuartile))")
      fields.append("\"high\": \(Number.json(row.samples.upperQuartile))")
      fields.append("\"repetitions\": \(row.samples.count)")
      return "    {\(fields.joined(separator: ", "))}"
    }
    return """
      {
        "version": \(quoted(machine.version)),
        "cpu": \(quoted(machine.cpu)),
        "isa": \(quoted(machine.isa)),
        "threads": \(machine.threads),
        "model": \(quoted(model)),
        "weights": \(quoted(weights)),
        "kv": \(quoted(kv)),
        "rows": [
      \(objects.joined(separator: ",\n"))
        ]
      }

      """
  }

  private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case _ where scalar.value < 0x20: result += " "
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
