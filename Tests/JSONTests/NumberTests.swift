import JSON
import Platform
import TestSupport
import Testing

@Suite struct NumberTests {
  @Test(
    arguments: [
      ("0", 0), ("-0", 0), ("0.0", 0), ("0e99999999999999999999", 0), ("1e3", 1000), ("1.5e1", 15), ("10e-1", 1),
      ("2.0", 2), ("120.00e-1", 12), ("9223372036854775807", .max), ("-9223372036854775808", .min),
      ("922337203685477580700e-2", .max), ("9.223372036854775807e18", .max),
      ("1000000000000000000", 1_000_000_000_000_000_000),
      ("0.00000000000000000000001e23", 1),
    ] as [(String, Int)])
  func integersAreExact(text: String, value: Int) throws { #expect(try parse(text).int == value) }

  @Test(arguments: [
    ("1.5", "must be an integer, is 1.5"), ("1e-1", "must be an integer"), ("0.1", "must be an integer"),
    ("9223372036854775808", "no 64-bit integer can hold"), ("-9223372036854775809", "no 64-bit integer"),
    ("1e19", "no 64-bit integer"), ("1e99999999999999999999", "no 64-bit integer"),
    ("123456789012345678901234567890", "no 64-bit integer"), ("1e-99999999999999999999", "must be an integer"),
    ("100000000000000000000000000000000000000001", "no 64-bit integer"),
  ])
  func whatIsNoIntegerIsRefused(text: String, message: String) throws {
    let value = try parse(text)
    #expect { try value.int } throws: { ($0 as? BoneSoupError)?.message.contains(message) == true }
  }

  @Test(
    arguments: [
      ("0.1", 0.1), ("1e22", 1e22), ("1e23", 1e23), ("-1.5e-7", -1.5e-7), ("5e-324", .leastNonzeroMagnitude),
      ("1e-400", 0),
      ("2.2250738585072011e-308", Double(bitPattern: 0xF_FFFF_FFFF_FFFF)),
      ("1.7976931348623157e308", .greatestFiniteMagnitude),
      ("9007199254740993", 9007199254740992), ("9007199254740993.00000000000000000001", 9007199254740994),
      ("123456789012345678901234567890", 123456789012345677877719597056), ("1000000.0", 1e6), ("0.0001", 1e-4),
    ] as [(String, Double)])
  func doublesAreCorrectlyRounded(text: String, value: Double) throws { #expect(try parse(text).double == value) }

  @Test func signOfZeroIsKept() throws {
    #expect(try parse("-0.0").double.sign == .minus)
    #expect(try parse("-0").double.sign == .minus)
  }

  @Test func randomDoublesComeBackBitForBit() throws {
    var random = SplitMix(seed: 1)
    for _ in 0..<20_000 {
      let value = Double(bitPattern: random.next())
      guard value.isFinite else { continue }
      let text = "\(value)"
      #expect(try parse(text).double.bitPattern == value.bitPattern, "\(text)")
      let short = Double(Int64(bitPattern: random.next()) >> 40) / 1000
      #expect(try parse("\(short)").double == short)
    }
  }

  @Test func overflowIsAnError() throws {
    let value = try parse("[1e309, 1e400]")
    for element in try value.elements { #expect(throws: BoneSoupError.self) { try element.double } }
  }

  @Test func longNumbersAreRefused() throws {
    let digits = String(repeating: "1", count: 1024)
    #expect(throws: BoneSoupError.self) { try parse(digits).double }
    #expect(try parse("0." + digits.dropLast(2)).double == 0.1111111111111111)
    let message = try #require(refusal((digits + "1").utf8))
    #expect(message.contains("more than 1024 characters"))
  }
}
