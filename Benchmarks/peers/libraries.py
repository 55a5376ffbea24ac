"""The peers: every one checked before it is timed, each absent one named in a sentence."""
import ctypes as c
import glob
import os
import sys
import numpy as np
from filigree import pointer

ROW, PLAIN, TURNED = 101, 111, 112


class BLAS:
    """A dense sgemm opened by path; `prefix` goes before its symbols."""

    def __init__(self, name, path, prefix=""):
        self.name, self.lib = name, c.CDLL(path, mode=os.RTLD_LOCAL)
        self.sgemm = getattr(self.lib, prefix + "cblas_sgemm")

    def product(self, a, turn_a, b, turn_b, out):
        m, n = out.shape
        k = a.shape[0] if turn_a else a.shape[1]
        self.sgemm(ROW, TURNED if turn_a else PLAIN, TURNED if turn_b else PLAIN, m, n, k, c.c_float(1), pointer(a),
                   a.shape[1], pointer(b), b.shape[1], c.c_float(0), pointer(out), n)

    def call(self, number, x, dy, w, out):
        if number == 0:
            return lambda: self.product(x, False, w, True, out)
        if number == 1:
            return lambda: self.product(dy, False, w, False, out)
        return lambda: self.product(dy, True, x, False, out)


class MKLSparse:
    """MKL's inspector-executor sparse x dense product, on feature-major activations [features, T], which it likes best."""

    class Descriptor(c.Structure):
        _fields_ = [("type", c.c_int), ("mode", c.c_int), ("diag", c.c_int)]

    def __init__(self, lib):
        self.lib, self.general = lib, self.Descriptor(20, 40, 50)

    def csr(self, start, column, values, rows, columns, tokens):
        matrix = c.c_void_p()
        self.lent = start, column, values  # MKL keeps their addresses
        self.check(self.lib.mkl_sparse_s_create_csr(
            c.byref(matrix), 0, rows, columns, pointer(start), pointer(start[1:]), pointer(column), pointer(values)))
        return self.ready(matrix, tokens)

    def bsr(self, start, column, values, side, rows, columns, tokens):
        matrix = c.c_void_p()
        self.lent = start, column, values
        self.check(self.lib.mkl_sparse_s_create_bsr(
            c.byref(matrix), 0, ROW, rows // side, columns // side, side, pointer(start), pointer(start[1:]),
            pointer(column), pointer(values)))
        return self.ready(matrix, tokens)

    def ready(self, matrix, tokens):
        for operation in (10, 11):
            self.lib.mkl_sparse_set_mm_hint(matrix, operation, self.general, ROW, tokens, 1000)
        self.lib.mkl_sparse_optimize(matrix)
        return matrix

    def product(self, matrix, turned, x, out):
        """out [rows, T] = W x [columns, T], or with W' where turned."""
        tokens = x.shape[1]
        self.check(self.lib.mkl_sparse_s_mm(
            11 if turned else 10, c.c_float(1), matrix, self.general, ROW, pointer(x), tokens, tokens, c.c_float(0),
            pointer(out), tokens))

    @staticmethod
    def check(status):
        if status:
            raise ValueError(f"MKL sparse says {status}")


def absent(name, why):
    print(f"peers: {name} is left out: {why}", file=sys.stderr)


def find(threads, root):
    """{name: library or module}: what this environment has."""
    peers = {}

    def attempt(name, make):
        try:
            peers[name] = make()
        except (OSError, ImportError, AttributeError, IndexError, ValueError) as error:
            absent(name, str(error) or type(error).__name__)

    def openblas():
        import scipy_openblas32
        folder = scipy_openblas32.get_lib_dir()
        blas = BLAS("openblas", glob.glob(folder + "/libscipy_openblas*.so")[0], "scipy_")
        blas.lib.scipy_openblas_set_num_threads(threads)
        blas.lib.scipy_openblas_get_config.restype = c.c_char_p
        blas.version = blas.lib.scipy_openblas_get_config().decode()
        return blas

    def mkl():
        blas = BLAS("mkl", glob.glob(sys.prefix + "/lib/libmkl_rt.so*")[0])
        blas.lib.MKL_Set_Num_Threads(threads)
        text = c.create_string_buffer(200)
        blas.lib.MKL_Get_Version_String(text, 199)
        blas.version = text.value.decode().strip()
        return blas

    def blis():
        blas = BLAS("blis", glob.glob(root + "/usr/lib/*/blis-pthread/libblis.so.4*")[0])
        blas.lib.bli_thread_set_num_threads(c.c_long(threads))
        blas.lib.bli_info_get_version_str.restype = c.c_char_p
        blas.version = blas.lib.bli_info_get_version_str().decode()
        return blas

    def torch():
        import torch
        torch.set_num_threads(threads)
        torch.version_text = f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
        return torch

    def scipy():
        import scipy.sparse
        return scipy.sparse

    def xsmm():
        lib = c.CDLL(root + "/libxsmm-driver.so")
        lib.libxsmm_get_target_arch.restype = c.c_char_p
        return lib

    for name, make in (("openblas", openblas), ("mkl", mkl), ("blis", blis), ("torch", torch), ("scipy", scipy),
                       ("libxsmm", xsmm)):
        attempt(name, make)
    return peers


def version(name, peer):
    """The peer as it names itself, with what it computes on."""
    if name == "torch":
        return peer.version_text
    if name == "scipy":
        import scipy
        return f"scipy {scipy.__version__}"
    if name == "libxsmm":
        return f"libxsmm 1.17 for {peer.libxsmm_get_target_arch().decode()}"
    return peer.version if peer.version.lower().startswith(name[:4]) else f"{name} {peer.version}"
