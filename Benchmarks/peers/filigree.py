"""Filigree through its bridge: one layer or one model at a time, on row-major numpy arrays."""
import ctypes as c
import numpy as np


class Filigree:
    def __init__(self, path, threads, isa):
        self.lib = lib = c.CDLL(path)
        for name in ("filigree_device", "filigree_layer", "filigree_model"):
            getattr(lib, name).restype = c.c_void_p
        for name in ("filigree_layer_count", "filigree_layer_pattern", "filigree_model_parameters", "filigree_model_tensor"):
            getattr(lib, name).restype = c.c_int64
        lib.filigree_model_step.restype = c.c_double
        self.isa = isa
        self.device = lib.filigree_device(threads, isa.encode())
        if not self.device:
            raise SystemExit("Filigree's device cannot be made; its sentence is above")

    def limits(self):
        both = (c.c_double * 2)()
        self.lib.filigree_limits(c.c_void_p(self.device), both)
        return both[0], both[1]


def pointer(array):
    return c.c_void_p(array.ctypes.data)


class Layer:
    """One structure; `x` [T, I] and `dy` [T, O] are entered once, `run` is what is timed."""

    def __init__(self, filigree, label, outputs, inputs, tokens, density, seed=1):
        self.lib, self.outputs, self.inputs, self.tokens = filigree.lib, outputs, inputs, tokens
        self.handle = c.c_void_p(self.lib.filigree_layer(
            c.c_void_p(filigree.device), label.encode(), outputs, inputs, tokens, c.c_double(density), c.c_uint64(seed)))
        if not self.handle:
            raise ValueError(label)
        text = c.create_string_buffer(64)
        self.lib.filigree_layer_label(self.handle, text)
        self.label = text.value.decode()
        self.count = self.lib.filigree_layer_count(self.handle)
        self.density = self.count / (outputs * inputs)
        self.values = np.empty(self.count, np.float32)
        self.dense = np.empty((outputs, inputs), np.float64)
        self.lib.filigree_layer_values(self.handle, pointer(self.values), pointer(self.dense))

    def pattern(self, name):
        array = np.empty(self.lib.filigree_layer_pattern(self.handle, name.encode(), None), np.int32)
        self.lib.filigree_layer_pattern(self.handle, name.encode(), pointer(array))
        return array

    def enter(self, x, dy):
        self.lib.filigree_layer_enter(self.handle, pointer(x), pointer(dy))

    def run(self, number):
        self.lib.filigree_layer_run(self.handle, number)

    def leave(self, number):
        shape = [(self.tokens, self.outputs), (self.tokens, self.inputs), (self.count,)][number]
        result = np.empty(shape, np.float32)
        self.lib.filigree_layer_leave(self.handle, number, pointer(result))
        return result

    def as_met(self, number, x, dy, result):
        """The pass as a caller with row-major arrays meets it: in, product, out."""
        def call():
            self.lib.filigree_layer_enter(
                self.handle, pointer(x) if number != 1 else None, pointer(dy) if number != 0 else None)
            self.run(number)
            self.lib.filigree_layer_leave(self.handle, number, pointer(result))
        return call

    def close(self):
        self.lib.filigree_release(self.handle)


class Model:
    def __init__(self, filigree, preset, structure, density, batch, sequence, seed=1):
        self.lib = filigree.lib
        self.handle = c.c_void_p(self.lib.filigree_model(
            c.c_void_p(filigree.device), preset.encode(), structure.encode(), c.c_double(density), batch, sequence,
            c.c_uint64(seed)))
        if not self.handle:
            raise SystemExit("the model cannot be made; its sentence is above")

    def tensor(self, name, array=None):
        """Reads a tensor as a flat array, or replaces it."""
        if array is not None:
            return self.lib.filigree_model_tensor(self.handle, name.encode(), pointer(array), 1)
        count = self.lib.filigree_model_tensor(self.handle, name.encode(), None, 0)
        result = np.empty(max(count, 0), np.float32)
        self.lib.filigree_model_tensor(self.handle, name.encode(), pointer(result), 0)
        return result

    def step(self, inputs, targets, rate):
        return self.lib.filigree_model_step(self.handle, pointer(inputs), pointer(targets), c.c_double(rate))

    def close(self):
        self.lib.filigree_release(self.handle)
