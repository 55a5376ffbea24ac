#!/usr/bin/env python3
"""Joins the records of gpu.sh into a table: what was asked of the GPU, what was measured, whether that is met.

gpu_verdicts.py FOLDER    reads bench*.jsonl, peers*.jsonl, gpus.txt, step-*/ and experiment/*/ there; prints, and writes
                          verdicts.md and, where there are runs of the experiment, experiment.tsv beside them

A ratio is a time of cuBLAS over the structure's. cuBLAS is the faster of our own call of cuBLASLt, timed in turn with the
structure, and of PyTorch's dense product. The spread of a ratio is that of both times (median absolute deviations over
medians, added in squares). The newest record of a product counts. A product that is not verified is WRONG, whatever its time.

Exit status 1 where a product is WRONG, a record cannot be read or records of several GPUs lie in the folder; what is not met
or not measured is no fault.
"""
import json
import math
import statistics
import sys
from pathlib import Path

PASSES = ("forward", "inputGradient", "weightGradient")
LARGE = ((4096, 14336), (14336, 4096))
SMALL = ((3072, 768), (768, 3072))
TOKENS = 8192
DENSITIES = (0.5, 0.25, 0.1, 0.05)
# Dense bf16 by the datasheets, in FLOP/s; which part a name means is seen by its memory.
PEAKS = {"H200": 989.4e12, "H100 80GB HBM3": 989.4e12, "H100 PCIe": 756e12, "A100": 312e12}


class Time:
    """Median seconds and the deviation over them."""

    def __init__(self, seconds, spread=0.0):
        self.seconds, self.spread = seconds, spread or 0.0


class Row:
    def __init__(self, section, what, asked, measured=None, spread=None, note="", wrong=False):
        self.section, self.what, self.asked, self.measured = section, what, asked, measured
        self.spread, self.note, self.wrong = spread, note, wrong

    @property
    def verdict(self):
        if self.wrong:
            return "WRONG"
        if self.measured is None:
            return "not measured"
        if self.asked is None:
            return ""
        word = "met" if self.measured >= self.asked else "not met"
        is_close = self.spread is not None and abs(self.measured - self.asked) <= self.spread
        return word + (", within the spread" if is_close else "")


def lines(path):
    """The records of a file; a last line that was cut short is passed over."""
    texts = path.read_text(encoding="utf-8").splitlines()
    for number, text in enumerate(texts):
        try:
            yield json.loads(text)
        except ValueError:
            if number + 1 < len(texts):
                raise ValueError(f"{path}:{number + 1} is not JSON") from None


class Records:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.bench, self.peers, names = {}, {}, set()
        for path in sorted(self.folder.glob("bench*.jsonl")):
            for r in lines(path):
                if r.get("schema") == "filigree.bench/1" and r["dtype"] == "bfloat16":
                    key = (r["structure"], (r["outputs"], r["inputs"]), r["tokens"], r["requestedDensity"], r["pass"])
                    if key not in self.bench or self.bench[key]["time"] <= r["time"]:
                        self.bench[key] = r
        for path in sorted(self.folder.glob("peers*.jsonl")):
            for r in lines(path):
                if r.get("schema") != "filigree.peer/2":
                    continue
                names.add(r["device"])
                key = (r["peer"], (r.get("outputs"), r.get("inputs")), r["tokens"],
                       r.get("requestedDensity", r.get("density")), r["pass"], r.get("sequencesAtOnce"))
                self.peers[key] = r
        listed = self.folder / "gpus.txt"
        if listed.exists():
            names |= {name.strip() for name in listed.read_text(encoding="utf-8").splitlines() if name.strip()}
        self.gpus = sorted(names)
        self.steps = {run["structure"]: run for run in self.runs("step-*")}
        self.experiment = self.runs("experiment/*")

    def runs(self, pattern):
        found = []
        for folder in sorted(self.folder.glob(pattern)):
            if not (folder / "run.json").exists() or not (folder / "metrics.jsonl").exists():
                continue
            run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            run["metrics"] = list(lines(folder / "metrics.jsonl"))
            run["isDone"], run["hasDiverged"] = ((folder / mark).exists() for mark in ("DONE", "DIVERGED"))
            found.append(run)
        return found

    def peer(self, name, shape, density, name_of_pass, tokens=TOKENS):
        r = self.peers.get((name, shape, tokens, density, name_of_pass, None))
        return Time(r["seconds"], r["spread"]) if r and "seconds" in r else None

    def dense(self, shape, name_of_pass, record):
        own = Time(record["dense"]["seconds"], record["dense"].get("spread"))
        other = self.peer("torch dense", shape, 1.0, name_of_pass)
        return other if other and other.seconds < own.seconds else own


def ratio(slower, faster):
    value = slower.seconds / faster.seconds
    return value, value * math.hypot(slower.spread, faster.spread)


def product(records, section, structure, shape, density, name, asked):
    """A row for one product beside cuBLAS, PyTorch's own sparse product in the note."""
    what = f"{structure}, density {density:g}, {shape[0]}x{shape[1]}, {name}"
    record = records.bench.get((structure, shape, TOKENS, density, name))
    if record is None:
        return Row(section, what, asked)
    value, spread = ratio(records.dense(shape, name, record), Time(record["seconds"], record["spread"]))
    note = f"{record['flopsPerSecond'] / 1e12:.0f} TFLOP/s of live weights"
    peer = "torch 2:4" if structure.startswith("nm-2:4") else f"torch {structure}"
    theirs = records.peer(peer, shape, density, name)
    if theirs:
        note += f"; {theirs.seconds / record['seconds']:.1f} x PyTorch's"
    return Row(section, what, asked, value, spread, note, wrong=not record["verified"])


def break_even(records, structure, shape, name):
    """The largest density at which the product takes no longer than cuBLAS, times between densities taken as straight."""
    what = f"{structure}, {shape[0]}x{shape[1]}, {name}: density of break-even"
    points, wrong = [], False
    for density in sorted(DENSITIES, reverse=True):
        record = records.bench.get((structure, shape, TOKENS, density, name))
        if record:
            wrong |= not record["verified"]
            points.append((density, record["seconds"] / records.dense(shape, name, record).seconds))
    if not points or points[0][0] < 0.5:
        return Row("Break-even", what, 0.5, wrong=wrong)
    if points[0][1] <= 1:
        return Row("Break-even", what, 0.5, 0.5, note="at 0.5 or above", wrong=wrong)
    for (above, slow), (below, fast) in zip(points, points[1:]):
        if fast <= 1:
            return Row("Break-even", what, 0.5, below + (above - below) * (1 - fast) / (slow - fast), wrong=wrong)
    return Row("Break-even", what, 0.5, 0.0, note=f"not even at {points[-1][0]:g}", wrong=wrong)


def products(records):
    rows = []
    for side in (64, 128):
        for density, asked in ((0.1, 5.0), (0.05, 8.0)):
            rows += [product(records, "Block-sparse beside cuBLAS", f"bsr-{side}", shape, density, name, asked)
                     for shape in LARGE for name in PASSES]
    rows += [break_even(records, f"bsr-{side}", shape, name) for side in (64, 128) for shape in LARGE for name in PASSES]
    rows += [product(records, "2:4 beside cuBLAS", structure, shape, 0.5, name, 1.5 if name == "forward" else None)
             for structure in ("nm-2:4", "nm-2:4t") for shape in LARGE for name in PASSES]
    small = sorted((key for key in records.bench if key[1] in SMALL and key[2] == TOKENS and key[0] != "dense"),
                   key=lambda key: (SMALL.index(key[1]), key[0], -key[3], PASSES.index(key[4])))
    rows += [product(records, "The small shapes beside cuBLAS, nothing asked", key[0], key[1], key[3], key[4], None)
             for key in small]
    return rows


def step_time(run):
    """As the peer's: the first two steps left out."""
    seconds = [m["stepSeconds"] for m in run["metrics"] if m.get("loss") is not None and "stepSeconds" in m][2:]
    if not seconds:
        return None
    middle = statistics.median(seconds)
    return Time(middle, statistics.median(abs(t - middle) for t in seconds) / middle)


def tokens_of(run):
    return run["configuration"]["batch"] * run["configuration"]["sequence"]


def compiled(records):
    found = [r for key, r in records.peers.items() if key[4] == "step" and "seconds" in r]
    best = min(found, key=lambda r: r["seconds"], default=None)
    return best


def steps(records):
    section = "A training step of mistral-162m"
    dense, peer = records.steps.get("dense"), compiled(records)
    own = step_time(dense) if dense else None
    row = Row(section, "dense: time of torch.compile over ours", 1.0)
    if own and peer and tokens_of(dense) == peer["tokens"]:
        row.measured, row.spread = ratio(Time(peer["seconds"], peer["spread"]), own)
        row.note = (f"{own.seconds * 1e3:.0f} ms; torch.compile {peer['seconds'] * 1e3:.0f} ms, "
                    f"{peer['sequencesAtOnce']} sequences at once")
    rows = [row]
    for structure in ("bsr-64", "bsr-32"):
        row = Row(section, f"{structure} at density 0.1: time of our dense over its", 1.3)
        run = records.steps.get(structure)
        time = step_time(run) if run else None
        if own and time and tokens_of(run) == tokens_of(dense) and 0.09 < run["configuration"]["density"] <= 0.1:
            row.measured, row.spread = ratio(own, time)
            row.note = f"{time.seconds * 1e3:.0f} ms"
        rows.append(row)
    return rows


def peak_of(names):
    found = {peak for name in names for key, peak in PEAKS.items() if key in name}
    return found.pop() if len(found) == 1 else None


def utilisation(records):
    """Lines of the table of model FLOP utilisation: operations of live weights, of attention and of the output layer."""
    peak = peak_of(records.gpus)
    # What multiplied where the peak was measured, wgmma or mma.sync: named once, or in each line where runs differ.
    instructions = {run["machine"].get("peakInstruction") for run in records.steps.values() if step_time(run)}
    of_all = f" ({one})" if len(instructions) == 1 and (one := next(iter(instructions))) else ""
    table = []

    def add(name, time, flops, measured, instruction=None):
        of_this = f" ({instruction or 'not recorded'})" if len(instructions) > 1 else ""
        rate = flops / time.seconds
        table.append(f"| {name} | {time.seconds * 1e3:.1f} | {flops / 1e12:.1f} | {rate / 1e12:.0f} | "
                     f"{f'{100 * rate / peak:.1f} %' if peak else 'unknown'} | "
                     f"{f'{100 * rate / measured:.1f} %{of_this}' if measured else ''} |")
    for structure, run in records.steps.items():
        time = step_time(run)
        if time:
            add(structure, time, run["flopsPerStep"], run["machine"]["peakFlopsPerSecond"], run["machine"].get("peakInstruction"))
    peer, dense = compiled(records), records.steps.get("dense")
    if peer and dense:
        add("torch.compile", Time(peer["seconds"]), dense["flopsPerStep"], None)
    if not table:
        return []
    return ["## Model FLOP utilisation", "",
            f"| step | ms | TFLOP a step | TFLOP/s | of the datasheet's peak | of the peak measured{of_all} |",
            "|---|---|---|---|---|---|", *table, ""]


def methods(records):
    """How far the two ways to time PyTorch, and the two calls of cuBLAS, are apart."""
    ratios = [r["seconds"] / r["eventSeconds"] for r in records.peers.values() if r.get("eventSeconds") and "seconds" in r]
    text = []
    if ratios:
        text.append(f"PyTorch by the host's clock and one set of buffers takes {min(ratios):.2f} to {max(ratios):.2f} "
                    f"(median {statistics.median(ratios):.2f}) of its time by CUDA events and four sets in rotation.")
    apart = []
    for (_, shape, tokens, _, name), r in records.bench.items():
        other = records.peer("torch dense", shape, 1.0, name, tokens)
        if other:
            apart.append(r["dense"]["seconds"] / other.seconds)
    if apart:
        text.append(f"Our dense product by cuBLASLt takes {min(apart):.2f} to {max(apart):.2f} of PyTorch's time.")
    return text + [""] if text else []


def experiment(records):
    """The table of the reference experiment, and its curves as tab-separated values."""
    if not records.experiment:
        return [], None
    table, curves, names = [], {}, []
    for run in records.experiment:
        name = f"{run['structure']} {run['configuration']['density']:g}"
        trained = [m for m in run["metrics"] if m.get("loss") is not None]
        validation = [m["validationLoss"] for m in run["metrics"] if m.get("validationLoss") is not None]
        if not trained:
            continue
        names.append(name)
        for m in trained:
            curves.setdefault(m["step"], {})[name] = m["loss"]
        time = step_time(run)
        end = "" if run["isDone"] else ", diverged" if run["hasDiverged"] else ", not finished"
        table.append(
            f"| {name} | {trained[-1]['step']} of {run['configuration']['steps']}{end} | "
            f"{trained[-1]['tokens'] / 1e6:.2f} | {run['parameters']['whole'] / 1e6:.1f} | "
            f"{statistics.mean(m['loss'] for m in trained[-10:]):.4f} | {f'{validation[-1]:.4f}' if validation else ''} | "
            f"{f'{time.seconds * 1e3:.0f}' if time else ''} |")
    head = ["## The reference experiment", "",
            "| structure, density | steps | million tokens | million parameters | training loss, last ten | validation loss | "
            "ms a step |",
            "|---|---|---|---|---|---|---|"]
    text = "\n".join("\t".join([str(step)] + [str(row.get(name, "")) for name in names])
                     for step, row in sorted(curves.items()))
    return head + table + [""], "\t".join(["step"] + names) + "\n" + text + "\n"


def number(value):
    return "" if value is None else f"{value:.2f}"


def report(records):
    rows = products(records) + steps(records)
    text = ["# What was asked of the GPU, and what was measured", "",
            f"GPU: {', '.join(records.gpus) or 'not recorded'}. Times: docs/Measuring.md.", ""]
    asked = [row for row in rows if row.asked is not None]
    counts = {word: sum(row.verdict.startswith(word) for row in asked)
              for word in ("met", "not met", "not measured", "WRONG")}
    text += [f"Of {len(asked)} numbers asked for: " + ", ".join(f"{n} {word}" for word, n in counts.items()) + ".", ""]
    section = None
    for row in rows:
        if row.section != section:
            text += ([""] if section else []) + [
                f"## {row.section}", "", "| | asked | measured | spread | verdict | |", "|---|---|---|---|---|---|"]
            section = row.section
        text.append(f"| {row.what} | {number(row.asked)} | {number(row.measured)} | {number(row.spread)} | {row.verdict} | "
                    f"{row.note} |")
    table, curves = experiment(records)
    return "\n".join(text + [""] + utilisation(records) + table + methods(records)).rstrip() + "\n", rows, curves


def main(folder):
    try:
        records = Records(folder)
    except (ValueError, KeyError) as error:
        print(f"a record cannot be read: {error}", file=sys.stderr)
        return 1
    text, rows, curves = report(records)
    (records.folder / "verdicts.md").write_text(text, encoding="utf-8")
    if curves:
        (records.folder / "experiment.tsv").write_text(curves, encoding="utf-8")
    print(text, end="")
    wrong = [row for row in rows if row.wrong]
    for row in wrong:
        print(f"WRONG: {row.what}", file=sys.stderr)
    if len(records.gpus) > 1:
        print(f"records of several GPUs lie in {folder}: {', '.join(records.gpus)}; give each its own folder", file=sys.stderr)
    return 1 if wrong or len(records.gpus) > 1 else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
