#!/usr/bin/env python3
"""Compiles the CUDA kernels ahead, without a GPU, into a cache folder as the program keeps its own (CUDAModules.swift).

gpu_cubins.py FOLDER [LIBNVRTC] [ARCHITECTURE]   the folder's filigree/ gets a file for each source, in bf16 and in fp32

A machine whose XDG_CACHE_HOME is a copy of FOLDER compiles nothing where its NVRTC has the same major and minor version and
its GPU is the architecture (sm_90a by default); otherwise the files are passed over and the kernels are compiled there.
LIBNVRTC is by default the one that make setup-cuda installs.
"""
import ctypes
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "Sources" / "CCUDA"
PRECISIONS = {"bf16": ["-DELEMENT_BF16"], "fp32": []}


def sources():
    """Names and texts in the order of sources.c."""
    text = (SOURCES / "sources.c").read_text(encoding="utf-8")
    files = dict(re.findall(r'unsigned char (\w+)\[\] = \{\s*#embed "([^"]+)"', text))
    listed = re.findall(r'SOURCE\("([^"]+)", (\w+)\)', text)
    if not listed or len(listed) != len(files):
        raise SystemExit(f"{SOURCES / 'sources.c'} lists {len(listed)} sources and embeds {len(files)}")
    return [(name, (SOURCES / files[symbol]).read_bytes()) for name, symbol in listed]


def fnv(key):
    value = 0xCBF29CE484222325
    for byte in key:
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return value


class Compiler:
    def __init__(self, path):
        # Opened by its full path first, so that NVRTC finds it.
        for builtins in sorted(Path(path).parent.glob("libnvrtc-builtins.so.*")):
            ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(str(path))
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.check(self.library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
        self.version = f"NVRTC {major.value}.{minor.value}"

    def check(self, code):
        if code:
            raise RuntimeError(f"NVRTC failed with {code}")

    def compile(self, name, text, headers, options):
        program = ctypes.c_void_p()
        texts = (ctypes.c_char_p * len(headers))(*[content for _, content in headers])
        names = (ctypes.c_char_p * len(headers))(*[header.encode() for header, _ in headers])
        self.check(self.library.nvrtcCreateProgram(ctypes.byref(program), text, name.encode(), len(headers), texts, names))
        try:
            words = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
            if self.library.nvrtcCompileProgram(program, len(options), words):
                size = ctypes.c_size_t()
                self.check(self.library.nvrtcGetProgramLogSize(program, ctypes.byref(size)))
                log = ctypes.create_string_buffer(size.value)
                self.check(self.library.nvrtcGetProgramLog(program, log))
                raise RuntimeError(f"{name} does not compile: {log.value.decode()[:2000]}")
            size = ctypes.c_size_t()
            self.check(self.library.nvrtcGetCUBINSize(program, ctypes.byref(size)))
            cubin = ctypes.create_string_buffer(size.value)
            self.check(self.library.nvrtcGetCUBIN(program, cubin))
            return cubin.raw
        finally:
            self.library.nvrtcDestroyProgram(ctypes.byref(program))


def main(folder, library=None, architecture="sm_90a"):
    if library is None:
        found = sorted((ROOT / ".build-cuda" / "site").glob("nvidia/*/lib/libnvrtc.so.*"))
        if not found:
            raise SystemExit("NVRTC is not in .build-cuda/site; run make setup-cuda, or name a libnvrtc")
        library = found[0]
    compiler, everything = Compiler(library), sources()
    headers = [(name, text) for name, text in everything if not name.endswith(".cu")]
    target = Path(folder) / "filigree"
    target.mkdir(parents=True, exist_ok=True)
    made = 0
    for precision, flags in PRECISIONS.items():
        options = [f"--gpu-architecture={architecture}", "--std=c++17", *flags]
        for name, text in everything:
            if not name.endswith(".cu"):
                continue
            texts = [other for source, other in everything if source == name or not source.endswith(".cu")]
            key = b"\n".join([name.encode(), compiler.version.encode(), *[o.encode() for o in options], *texts])
            file = target / f"{name}-{fnv(key):016x}.cubin"
            if not file.exists():
                cubin = compiler.compile(name, text, headers, options)
                partial = file.with_suffix(".partial")
                partial.write_bytes(key + b"\0" + cubin)
                partial.replace(file)
                made += 1
    print(f"{made} compiled for {architecture} by {compiler.version}, {len(list(target.glob('*.cubin')))} in {target}")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
