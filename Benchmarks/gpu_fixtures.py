#!/usr/bin/env python3
"""Compares the program's model with transformers' figures that the tree holds: losses of given tokens, forward only.

gpu_fixtures.py PROGRAM DEVICE PRECISION WORK OUT.jsonl

`score` on the checkpoints of Tests/InterchangeTests/Fixtures and on those of Tests/ModelTests/Fixtures written out as
directories of transformers; `evaluate` on the latter's batches. One JSON object a line; exit status 1 where a loss is beyond
its bound or the program fails.

Bounds, in nats: 1e-4 in fp32, as in the tests of the same figures. In bf16 and tf32 sqrt(2 (24 L + 6)) 2 u of the largest
loss, u the unit roundoff, L layers: a rounding for each activation stored and each weight read, 24 a layer and 6 around the
layers, forward and backward, which add up by chance (Tests/CUDATests/MistralOnCUDATests.swift).

Gradients and AdamW's steps are not compared here, since no command takes given weights to train on; the ordinary tests
compare them on a simulated GPU, `laws` every gradient of a product, and `curves` whole steps.
"""
import array
import json
import math
import struct
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "Tests"
UNIT_ROUNDOFF = {"bf16": 2.0**-8, "tf32": 2.0**-11}
LAYOUTS = {"F64": "d", "F32": "f", "I32": "i"}


class Tensors:
    """A safetensors file: a length, a header in JSON, the numbers."""

    def __init__(self, path):
        content = Path(path).read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        self.header = json.loads(content[8:8 + length])
        self.header.pop("__metadata__", None)
        self.data = content[8 + length:]

    def bytes(self, name):
        begin, end = self.header[name]["data_offsets"]
        return self.data[begin:end]

    def numbers(self, name):
        return list(array.array(LAYOUTS[self.header[name]["dtype"]], self.bytes(name)))


def write_directory(folder, tensors, configuration):
    """The tensors under weights/ and their configuration as transformers keeps them."""
    folder.mkdir(parents=True, exist_ok=True)
    header, parts, at = {}, [], 0
    for name, entry in tensors.header.items():
        if name.startswith("weights/"):
            part = tensors.bytes(name)
            header[name.removeprefix("weights/")] = {**entry, "data_offsets": [at, at + len(part)]}
            parts.append(part)
            at += len(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
    (folder / "config.json").write_text(configuration.read_text())


def write_tokens(path, tokens):
    """A file of tokens as llm.c keeps them, 16-bit."""
    header = [20240520, 1, len(tokens)] + [0] * 253
    path.write_bytes(struct.pack("<256i", *header) + struct.pack(f"<{len(tokens)}H", *tokens))


def bound(precision, layers, largest):
    if precision == "fp32":
        return 1e-4
    return math.sqrt(2 * (24 * layers + 6)) * 2 * UNIT_ROUNDOFF[precision] * largest


class Comparison:
    def __init__(self, program, device, precision, out):
        self.options = ["--device", device, "--json", "--quiet"]
        if device != "cpu":
            self.options += ["--precision", precision]
        self.program, self.device, self.precision, self.out = program, device, precision, out
        self.failures = 0

    def run(self, *arguments):
        done = subprocess.run([self.program, *arguments, *self.options], capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
        return json.loads(done.stdout)

    def compare(self, case, layers, expected, measure):
        record = dict(schema="filigree.fixture/1", case=case, device=self.device, precision=self.precision,
                      losses=len(expected), bound=bound(self.precision, layers, max(expected)))
        try:
            got = measure()
            if len(got) != len(expected):
                raise RuntimeError(f"{len(got)} losses in place of {len(expected)}")
            record["worst"] = max(abs(a - b) for a, b in zip(got, expected))
            # NaN is beyond every bound.
            record["met"] = record["worst"] <= record["bound"] and all(map(math.isfinite, got))
            if not math.isfinite(record["worst"]):
                record["worst"] = None
        except (RuntimeError, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            record.update(met=False, error=str(error)[:300])
        self.failures += not record["met"]
        self.out.write(json.dumps(record) + "\n")
        self.out.flush()
        found = record.get("error") or f"worst {record['worst']} nats, bound {record['bound']:.2e}"
        print(f"{'met' if record['met'] else 'BEYOND'}: {case} in {self.precision}: {found}")


def main(program, device, precision, work, out):
    work = Path(work)
    work.mkdir(parents=True, exist_ok=True)
    with open(out, "a", encoding="utf-8") as file:
        comparison = Comparison(program, device, precision, file)
        folder = TESTS / "InterchangeTests" / "Fixtures"
        for name, case in json.loads((folder / "expected.json").read_text()).items():
            layers = json.loads((folder / name / "config.json").read_text())["num_hidden_layers"]
            tokens = ",".join(map(str, case["tokens"]))
            comparison.compare(f"score {name}", layers, case["nll"], lambda: comparison.run(
                "score", str(folder / name), "--tokens", tokens)["nll"])
        folder = TESTS / "ModelTests" / "Fixtures"
        for name in ("mistral-gqa", "mistral-window"):
            configuration = folder / f"{name}.config.json"
            layers = json.loads(configuration.read_text())["num_hidden_layers"]
            tensors = Tensors(folder / f"{name}.safetensors")
            model = work / name
            write_directory(model, tensors, configuration)
            tokens = ",".join(map(str, tensors.numbers("score/tokens")))
            comparison.compare(f"score {name}", layers, tensors.numbers("score/nll"), lambda: comparison.run(
                "score", str(model), "--tokens", tokens)["nll"])
            rows, length = tensors.header["tokens"]["shape"]
            numbers = tensors.numbers("tokens")

            def batch():
                losses = []
                for row in range(rows):
                    write_tokens(work / f"{name}-{row}.bin", numbers[row * length:(row + 1) * length])
                    losses.append(comparison.run("evaluate", str(model), "--data", str(work / f"{name}-{row}.bin"),
                                                 "--sequence", str(length - 1))["loss"])
                return [sum(losses) / rows]
            comparison.compare(f"evaluate {name}", layers, tensors.numbers("loss"), batch)
    return 1 if comparison.failures else 0


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
