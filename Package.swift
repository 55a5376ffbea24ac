// swift-tools-version: 6.2
import PackageDescription

// Every target is a folder of Sources/; docs/Architecture.md says what each may know about.
// The executable's module is called FiligreeCommand because the library already owns the name Filigree.
let package = Package(
  name: "Filigree",
  products: [
    .library(name: "Filigree", targets: ["Filigree"]),
    .executable(name: "filigree", targets: ["FiligreeCommand"]),
    .library(name: "FiligreeBridge", type: .dynamic, targets: ["FiligreeBridge"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
  ],
  targets: [
    .target(name: "CKernels"),
    // Declarations of NVIDIA's libraries and the kernels' sources, which sources.c embeds: no CUDA is needed to build.
    .target(name: "CCUDA", exclude: ["kernels"]),
    .target(name: "Arrays"),
    .target(name: "Records", dependencies: ["Arrays"]),
    .target(name: "Devices", dependencies: ["Arrays", "CCUDA", "CKernels", "Records"]),
    .target(name: "Structures", dependencies: ["Arrays", "Devices"]),
    .target(name: "Measuring", dependencies: ["Arrays", "Devices", "Structures", "Records"]),
    .target(name: "Model", dependencies: ["Arrays", "Records", "Devices", "Structures"]),
    .target(name: "Sparsifying", dependencies: ["Arrays", "Devices", "Structures", "Model", "Records"]),
    .target(name: "Checkpoints", dependencies: ["Arrays", "Records"]),
    .target(name: "Tokenizers", dependencies: ["Arrays", "Records"]),
    .target(
      name: "Training",
      dependencies: [
        "Arrays", "Devices", "Structures", "Model", "Sparsifying", "Checkpoints", "Tokenizers", "Measuring", "Records",
      ]),
    .target(
      name: "Interchange",
      dependencies: ["Arrays", "Records", "Devices", "Structures", "Model", "Checkpoints", "Tokenizers", "Training"]),
    .target(name: "Reporting", dependencies: ["Arrays", "Records"]),
    .target(
      name: "Filigree",
      dependencies: ["Arrays", "Devices", "Structures", "Model", "Measuring", "Records", "Tokenizers", "Training"]),
    .executableTarget(
      name: "FiligreeCommand",
      dependencies: [
        "Arrays", "Records", "Devices", "Structures", "Model", "Sparsifying", "Checkpoints", "Training", "Measuring",
        "Reporting", "Tokenizers", "Interchange", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/filigree"),
    .executableTarget(name: "OneLayer", dependencies: ["Filigree"], path: "Examples/OneLayer"),
    .executableTarget(name: "YourStructure", dependencies: ["Filigree", "Records"], path: "Examples/YourStructure"),
    .testTarget(name: "FiligreeTests", dependencies: ["Filigree", "OneLayer", "YourStructure"]),
    .target(
      name: "FiligreeBridge", dependencies: ["Arrays", "Devices", "Structures", "Model", "Training"],
      path: "Benchmarks/Bridge"),
    .testTarget(name: "LawsTests", dependencies: ["Arrays", "Devices", "Structures"]),
    .testTarget(
      name: "ModelTests",
      dependencies: ["Arrays", "Checkpoints", "Devices", "Model", "Records", "Structures", "Training"],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "SparsifyingTests",
      dependencies: ["Arrays", "Devices", "Model", "Records", "Sparsifying", "Structures", "Training"]),
    // A GPU that is none: the kernels compiled by the host's compiler, behind the driver's functions.
    .target(name: "FakeCUDA", dependencies: ["CCUDA"], path: "Tests/FakeCUDA"),
    .testTarget(
      name: "CUDATests",
      dependencies: [
        "Arrays", "CCUDA", "Checkpoints", "Devices", "FakeCUDA", "Measuring", "Model", "Records", "Structures",
        "Training",
      ]),
    .testTarget(name: "RecordsTests", dependencies: ["Arrays", "Records"]),
    .testTarget(name: "CheckpointsTests", dependencies: ["Arrays", "Records", "Checkpoints"]),
    .testTarget(
      name: "TrainingTests",
      dependencies: ["Arrays", "Devices", "Measuring", "Model", "Records", "Structures", "Tokenizers", "Training"]),
    .testTarget(
      name: "TokenizersTests", dependencies: ["Arrays", "Records", "Tokenizers"], exclude: ["Fixtures"]),
    .testTarget(name: "MeasuringTests", dependencies: ["Arrays", "Devices", "Measuring", "Structures"]),
    .testTarget(name: "ReportingTests", dependencies: ["Arrays", "Records", "Reporting"]),
    .testTarget(
      name: "InterchangeTests",
      dependencies: [
        "Arrays", "Records", "Devices", "Structures", "Model", "Checkpoints", "Tokenizers", "Training", "Interchange",
      ],
      exclude: ["Fixtures"]),
    .target(
      name: "Fuzzing",
      dependencies: [
        "Arrays", "Records", "Structures", "Model", "Checkpoints", "Tokenizers", "Training", "Interchange",
      ], path: "Tests/Fuzzing"),
    .executableTarget(name: "fuzz", dependencies: ["Fuzzing"], path: "Tests/FuzzProgram"),
    .testTarget(name: "FuzzingTests", dependencies: ["Fuzzing"]),
    .testTarget(name: "CommandTests", dependencies: ["Records", "FiligreeCommand"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11
)
