// swift-tools-version: 6.2
import PackageDescription

// Every target is a folder of Sources/; docs/Architecture.md says what each may know about.
// The executable's module is called FiligreeCommand because the library already owns the name Filigree.
let package = Package(
  name: "Filigree",
  products: [
    .library(name: "Filigree", targets: ["Filigree"]),
    .executable(name: "filigree", targets: ["FiligreeCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
  ],
  targets: [
    .target(name: "CKernels"),
    .target(name: "Arrays"),
    .target(name: "Records", dependencies: ["Arrays"]),
    .target(name: "Devices", dependencies: ["Arrays", "CKernels"]),
    .target(name: "Structures", dependencies: ["Arrays", "Devices"]),
    .target(name: "Model", dependencies: ["Arrays", "Records", "Devices", "Structures"]),
    .target(name: "Checkpoints", dependencies: ["Arrays", "Records"]),
    .target(name: "Tokenizers", dependencies: ["Arrays", "Records"]),
    .target(
      name: "Training",
      dependencies: ["Arrays", "Devices", "Structures", "Model", "Checkpoints", "Tokenizers", "Measuring", "Records"]),
    .target(name: "Measuring", dependencies: ["Arrays", "Devices", "Structures", "Records"]),
    .target(
      name: "Interchange",
      dependencies: ["Arrays", "Records", "Devices", "Structures", "Model", "Checkpoints", "Tokenizers", "Training"]),
    .target(name: "Reporting", dependencies: ["Arrays", "Records"]),
    .target(
      name: "Filigree",
      dependencies: ["Arrays", "Devices", "Structures", "Model"]),
    .executableTarget(
      name: "FiligreeCommand",
      dependencies: [
        "Arrays", "Records", "Devices", "Structures", "Model", "Checkpoints", "Training", "Measuring",
        "Reporting", "Tokenizers", "Interchange", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/filigree"),
    .executableTarget(name: "OneLayer", dependencies: ["Filigree"], path: "Examples/OneLayer"),
    .testTarget(name: "FiligreeTests", dependencies: ["Filigree", "OneLayer"]),
    .testTarget(name: "LawsTests", dependencies: ["Arrays", "Devices", "Structures"]),
    .testTarget(
      name: "ModelTests",
      dependencies: ["Arrays", "Checkpoints", "Devices", "Model", "Records", "Structures", "Training"],
      exclude: ["Fixtures"]),
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
