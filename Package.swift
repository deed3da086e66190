// swift-tools-version: 6.2
import PackageDescription

/// Each kernel source is compiled once per instruction-set level; the level in use is picked at run time by CPUID.
/// `-O` also in debug builds, so that debug tests run at speed.
func instructionSet(_ flags: [String]) -> [SwiftSetting] {
  [.unsafeFlags(["-O", "-wmo", "-num-threads", "1"] + flags.flatMap { ["-Xcc", $0] })]
}

let avx2 = ["-mavx2", "-mfma", "-mf16c"]
let avx512 =
  avx2 + [
    "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mprfchw", "-mprefer-vector-width=512",
  ]

let warningsAreErrors: [SwiftSetting] = [.treatAllWarnings(as: .error)]

/// Link settings that make libbonesoup.so self-contained (libc, libm and ld.so only) and export the C API alone.
let library = Context.packageDirectory + "/Sources/BoneSoupLibrary"
let selfContained: [LinkerSetting] = [
  .unsafeFlags(
    ["-static-stdlib", "-use-ld=lld", "-Xclang-linker", "-static-libgcc", "-L\(library)/static"]
      + [
        "--version-script=\(library)/exports.map", "--gc-sections", "--icf=safe", "-z", "nodelete",
        "-soname=libbonesoup.so",
      ].flatMap { ["-Xlinker", $0] })
]

func module(_ name: String, _ dependencies: [String], _ settings: [SwiftSetting] = []) -> Target {
  .target(
    name: name, dependencies: dependencies.map { .byName(name: $0) }, exclude: readme(name),
    swiftSettings: warningsAreErrors + settings)
}

func readme(_ name: String) -> [String] {
  name.hasPrefix("KernelsAVX") ? [] : name == "Soups" ? ["README.md", "Methods/README.md"] : ["README.md"]
}

func tests(_ name: String, _ dependencies: [String]) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: (dependencies + [name, "TestSupport"]).map { .byName(name: $0) },
    swiftSettings: warningsAreErrors)
}

let package = Package(
  name: "bonesoup",
  products: [
    .library(name: "bonesoup", type: .dynamic, targets: ["BoneSoupLibrary"]),
    .executable(name: "bonesoup-bench", targets: ["bonesoup-bench"]),
  ],
  targets: [
    .systemLibrary(name: "CBoneSoup"),
    .target(name: "CIntrinsics"),
    module("Platform", ["CIntrinsics"]),
    module("JSON", ["Platform"]),
    module("KernelsBaseline", ["CIntrinsics"], instructionSet([])),
    module("KernelsAVX2", ["CIntrinsics"], instructionSet(avx2)),
    module("KernelsAVX512", ["CIntrinsics"], instructionSet(avx512)),
    module("KernelsAVX512BF16", ["CIntrinsics"], instructionSet(avx512 + ["-mavx512bf16"])),
    module("Kernels", ["CIntrinsics", "KernelsBaseline", "KernelsAVX2", "KernelsAVX512", "KernelsAVX512BF16"]),
    module("Checkpoints", ["CIntrinsics", "Platform", "JSON", "Kernels"]),
    module("Tokenization", ["Platform", "JSON"]),
    module("Transformer", ["Platform", "JSON", "Kernels", "Checkpoints"]),
    module("Soups", ["Platform", "JSON", "Kernels", "Checkpoints", "Tokenization", "Transformer"]),
    module("Generation", ["Platform", "Kernels", "Tokenization", "Transformer", "Soups"]),
    module(
      "BoneSoup",
      ["CBoneSoup", "Platform", "Kernels", "Checkpoints", "Tokenization", "Transformer", "Soups", "Generation"]),
    .target(
      name: "BoneSoupLibrary", dependencies: ["BoneSoup"], exclude: ["README.md", "exports.map", "static"],
      linkerSettings: selfContained),
    .executableTarget(
      name: "bonesoup-bench",
      dependencies: [
        "CBoneSoup", "CIntrinsics", "BoneSoup", "Platform", "Kernels", "Checkpoints", "Transformer", "Soups",
      ],
      exclude: ["README.md"], swiftSettings: warningsAreErrors),
    .target(name: "TestSupport", dependencies: ["Platform"], path: "Tests/TestSupport"),
    tests("Platform", ["CIntrinsics"]),
    tests("JSON", ["Platform"]),
    tests("Kernels", ["CIntrinsics"]),
    tests("Checkpoints", ["Platform", "JSON", "Kernels"]),
    tests("Tokenization", ["Platform", "JSON"]),
    tests("Transformer", ["Platform", "JSON", "Kernels", "Checkpoints"]),
    tests("Soups", ["Platform", "JSON", "Kernels", "Checkpoints", "Transformer"]),
    tests("Generation", ["Platform", "Kernels", "Tokenization", "Transformer", "Soups"]),
  ],
  swiftLanguageModes: [.v6])
