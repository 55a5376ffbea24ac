import Arrays
import Devices
import Glibc
import Structures

// A small C interface to the library, so that one process can time Filigree in turn with its peers. Handles are retained
// objects; every function that can fail prints its sentence on standard error and returns nil or -1.

/// Runs `body`; a refusal becomes a sentence on standard error and the value of `failure`.
func bridged<Result>(_ failure: Result, _ body: () throws -> Result) -> Result {
  do {
    return try body()
  } catch let refusal as Refusal {
    complain(refusal.sentence)
  } catch {
    complain("\(error)")
  }
  return failure
}

private func complain(_ sentence: String) {
  let line = Array("filigree: \(sentence)\n".utf8)
  _ = line.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
}

func handle(_ object: AnyObject) -> UnsafeMutableRawPointer { Unmanaged.passRetained(object).toOpaque() }

func object<Object: AnyObject>(_ handle: UnsafeMutableRawPointer, as type: Object.Type) -> Object {
  Unmanaged<Object>.fromOpaque(handle).takeUnretainedValue()
}

@_cdecl("filigree_device")
public func makeDevice(_ threads: Int32, _ isa: UnsafePointer<CChar>) -> UnsafeMutableRawPointer? {
  bridged(nil) { handle(try CPUDevice(threads: Int(threads), isa: String(cString: isa))) }
}

/// GFLOP/s of multiply-adds on registers, and GB/s read from memory.
@_cdecl("filigree_limits")
public func limits(_ device: UnsafeMutableRawPointer, _ result: UnsafeMutablePointer<Double>) -> Int32 {
  bridged(-1) {
    let limits = try object(device, as: CPUDevice.self).measureLimits()
    result[0] = limits.flopsPerSecond
    result[1] = limits.bytesPerSecond
    return 0
  }
}

@_cdecl("filigree_release")
public func release(_ handle: UnsafeMutableRawPointer) { Unmanaged<AnyObject>.fromOpaque(handle).release() }

/// One structure with its values, gradients and activations on a device.
final class Layer {
  let structure: any Structure
  let device: CPUDevice
  let x: Activations
  let dy: Activations
  let y: Activations
  let dx: Activations
  let saved: Activations?
  let values: Vector
  let dvalues: Vector

  init(_ structure: any Structure, tokens: Int, on device: CPUDevice) throws {
    self.structure = structure
    self.device = device
    x = try device.makeActivations(tokens: tokens, features: structure.shape.inputs)
    dy = try device.makeActivations(tokens: tokens, features: structure.shape.outputs)
    y = try device.makeActivations(tokens: tokens, features: structure.shape.outputs)
    dx = try device.makeActivations(tokens: tokens, features: structure.shape.inputs)
    saved =
      structure.savedFeatures == 0
      ? nil : try device.makeActivations(tokens: tokens, features: structure.savedFeatures)
    var generator = SeededGenerator(seed: 1, structure.label)
    values = try device.makeVector(structure.initialValues(gain: 1, using: &generator))
    dvalues = try device.makeVector(count: structure.count)
  }

  /// 0 forward, 1 input gradient, 2 weight gradient (into cleared sums).
  func run(_ pass: Int32) throws {
    switch pass {
    case 0: try structure.forward(x, values: values, saved: saved, into: y, accumulate: false, on: device)
    case 1:
      try structure.backward(
        dy, x: x, values: values, saved: saved, dx: dx, accumulate: false, dvalues: nil, on: device)
    default:
      device.clear(dvalues)
      try structure.backward(
        dy, x: x, values: values, saved: saved, dx: nil, accumulate: false, dvalues: dvalues, on: device)
    }
  }
}

@_cdecl("filigree_layer")
public func makeLayer(
  _ device: UnsafeMutableRawPointer, _ label: UnsafePointer<CChar>, _ outputs: Int32, _ inputs: Int32, _ tokens: Int32,
  _ density: Double, _ seed: UInt64
) -> UnsafeMutableRawPointer? {
  bridged(nil) {
    let structure = try Catalog.member(
      String(cString: label), of: Shape(outputs: Int(outputs), inputs: Int(inputs)), density: density, seed: seed)
    return handle(try Layer(structure, tokens: Int(tokens), on: object(device, as: CPUDevice.self)))
  }
}

/// Copies the label, with a zero at the end, into `text` of 64 characters.
@_cdecl("filigree_layer_label")
public func layerLabel(_ layer: UnsafeMutableRawPointer, _ text: UnsafeMutablePointer<CChar>) {
  _ = object(layer, as: Layer.self).structure.label.withCString { strncpy(text, $0, 63) }
}

@_cdecl("filigree_layer_count")
public func layerCount(_ layer: UnsafeMutableRawPointer) -> Int64 { Int64(object(layer, as: Layer.self).values.count) }

/// Numbers of an index array; copied when `target` is not nil.
@_cdecl("filigree_layer_pattern")
public func layerPattern(
  _ layer: UnsafeMutableRawPointer, _ name: UnsafePointer<CChar>, _ target: UnsafeMutablePointer<Int32>?
) -> Int64 {
  let array = object(layer, as: Layer.self).structure.pattern.arrays[String(cString: name)] ?? []
  if let target { for (index, number) in array.enumerated() { target[index] = number } }
  return Int64(array.count)
}

/// The values as they lie, and the dense matrix [O, I] that they stand for.
@_cdecl("filigree_layer_values")
public func layerValues(
  _ layer: UnsafeMutableRawPointer, _ values: UnsafeMutablePointer<Float>, _ dense: UnsafeMutablePointer<Double>
) -> Int32 {
  bridged(-1) {
    let layer = object(layer, as: Layer.self)
    let numbers = try layer.device.numbers(layer.values)
    for (index, number) in numbers.enumerated() { values[index] = number }
    for (index, number) in layer.structure.materialize(numbers).enumerated() { dense[index] = number }
    return 0
  }
}

/// Row-major x [T, I] and dy [T, O] into the device's layout.
@_cdecl("filigree_layer_enter")
public func layerEnter(
  _ layer: UnsafeMutableRawPointer, _ x: UnsafePointer<Float>?, _ dy: UnsafePointer<Float>?
) {
  let layer = object(layer, as: Layer.self)
  if let x { layer.device.upload(UnsafeBufferPointer(start: x, count: layer.x.tokens * layer.x.features), to: layer.x) }
  if let dy {
    layer.device.upload(UnsafeBufferPointer(start: dy, count: layer.dy.tokens * layer.dy.features), to: layer.dy)
  }
}

/// The result of a pass: row-major y [T, O] or dx [T, I], or the gradients of the values.
@_cdecl("filigree_layer_leave")
public func layerLeave(_ layer: UnsafeMutableRawPointer, _ pass: Int32, _ result: UnsafeMutablePointer<Float>) {
  let layer = object(layer, as: Layer.self)
  if pass == 2 {
    return layer.device.read(
      layer.dvalues, into: UnsafeMutableBufferPointer(start: result, count: layer.dvalues.count))
  }
  let activations = pass == 0 ? layer.y : layer.dx
  layer.device.download(
    activations, into: UnsafeMutableBufferPointer(start: result, count: activations.tokens * activations.features))
}

@_cdecl("filigree_layer_run")
public func layerRun(_ layer: UnsafeMutableRawPointer, _ pass: Int32) -> Int32 {
  bridged(-1) {
    try object(layer, as: Layer.self).run(pass)
    return 0
  }
}
