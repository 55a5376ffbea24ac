#!/usr/bin/env python3
"""Holds the losses of training on a GPU against those of the CPU, step by step, or prints the times of a step.

gpu_curves.py CPU_RUN OTHER_CPU_RUN SEED_RUN GPU_RUN...
gpu_curves.py --steps RUN...       median seconds of a step and its operations a second, without the first two steps

CPU_RUN and OTHER_CPU_RUN are the same training with two instruction sets, which sum in another order: they differ by
rounding alone. Their largest relative distance d, over all steps, is what this training makes of roundings of 2^-24;
SEED_RUN, with another seed, shows what a real difference looks like. While roundings are small, what training makes of them
is proportional to them, so a device of unit roundoff u is expected within (u / 2^-24) d of the CPU, and is held to four
times that: d is one draw of a random quantity. It is taken as 2^-26 at least. A forward pass alone may differ by
sqrt(2 (24 L + 6)) 2 u of the loss (gpu_fixtures.py): so much fp32 may always. bf16 (2^-8) and tf32 (2^-11) are not given
that, since it is far above what was found with transformers' Mistral of this size on a CPU, every activation, every gradient
of one and every weight read being rounded to bf16: 1.1e-3 and 6e-4 over 60 steps (two seeds), where 2^16 d was 1.4e-3 here
and two seeds differ by 4e-2.

Exit status 1 where a run is beyond its bound, or has another number of steps; 2 where the bound would let another seed pass.
"""
import json
import math
import statistics
import sys
from pathlib import Path

UNIT_ROUNDOFF = {"bf16": 2.0**-8, "tf32": 2.0**-11, "fp32": 2.0**-24}


def metrics(run):
    lines = Path(run, "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [m for m in map(json.loads, lines) if m.get("loss") is not None]


def losses(run):
    """Of every step; none where there is no such run."""
    return [m["loss"] for m in metrics(run)] if Path(run, "metrics.jsonl").exists() else []


def distance(first, second):
    """The largest relative distance; infinite where lengths differ or a number is none."""
    if len(first) != len(second) or not first:
        return math.inf
    worst = max(abs(a - b) / abs(a) if a else math.inf for a, b in zip(first, second))
    return worst if math.isfinite(worst) and all(map(math.isfinite, first + second)) else math.inf


def bound(precision, layers, rounding):
    u = UNIT_ROUNDOFF[precision]
    followed = 4 * u / 2.0**-24 * max(rounding, 2.0**-26)
    return max(followed, math.sqrt(2 * (24 * layers + 6)) * 2 * u) if precision == "fp32" else followed


def compare(cpu, other, seed, runs):
    expected = losses(cpu)
    rounding, apart = distance(expected, losses(other)), distance(expected, losses(seed))
    if not expected:
        print(f"BEYOND: there is no run in {cpu}")
        return 1
    layers = json.loads(Path(cpu, "run.json").read_text(encoding="utf-8"))["configuration"]["architecture"]["layers"]
    print(f"{len(expected)} steps; rounding of fp32 on the CPU {rounding:.2e}, another seed {apart:.2e}, relative to the loss")
    if not math.isfinite(rounding):
        print("BEYOND: the two runs on the CPU cannot be compared")
        return 1
    status = 0
    for run in runs:
        precision = Path(run).name.rsplit("-", 1)[-1]
        allowed, found = bound(precision, layers, rounding), distance(expected, losses(run))
        met = found <= allowed
        print(f"{'met' if met else 'BEYOND'}: {Path(run).name}: losses within {found:.2e} of the CPU's, bound {allowed:.2e}")
        if not met:
            status = 1
        elif allowed >= apart:
            print(f"  but another seed would pass too: nothing was shown for {precision}")
            status = status or 2
    return status


def steps(runs):
    for run in runs:
        if not Path(run, "run.json").exists() or not Path(run, "metrics.jsonl").exists():
            print(f"{Path(run).name}: no run")
            continue
        seconds = [m["stepSeconds"] for m in metrics(run)][2:]
        record = json.loads(Path(run, "run.json").read_text(encoding="utf-8"))
        if not seconds:
            print(f"{Path(run).name}: fewer than three steps")
            continue
        median = statistics.median(seconds)
        rate = record["flopsPerStep"] / median
        peak = record["machine"]["peakFlopsPerSecond"]
        print(f"{Path(run).name}: {median * 1e3:.1f} ms a step over {len(seconds)}, {rate / 1e12:.2f} TFLOP/s, "
              f"{100 * rate / peak:.1f} % of the peak measured")
    return 0


def main(arguments):
    if arguments[:1] == ["--steps"] and len(arguments) > 1:
        return steps(arguments[1:])
    if len(arguments) < 4:
        sys.exit(__doc__)
    return compare(*arguments[:3], arguments[3:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
