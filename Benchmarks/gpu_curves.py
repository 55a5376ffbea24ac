#!/usr/bin/env python3
"""Compares runs that were recorded: losses step by step beside the first run, or times of a step.

gpu_curves.py CPU_RUN GPU_RUN...   the largest relative distance of the losses from the first run's
gpu_curves.py --steps RUN...       median seconds of a step and tokens a second, without the first two steps
"""
import json
import statistics
import sys
from pathlib import Path


def metrics(run):
    lines = Path(run, "metrics.jsonl").read_text().splitlines()
    return [m for m in map(json.loads, lines) if m.get("loss") is not None]


def main(arguments):
    if arguments[:1] == ["--steps"]:
        for run in arguments[1:]:
            seconds = [m["stepSeconds"] for m in metrics(run)][2:]
            record = json.loads(Path(run, "run.json").read_text())
            median = statistics.median(seconds)
            rate = record["flopsPerStep"] / median
            peak = record["machine"]["peakFlopsPerSecond"]
            print(f"{run}: {median * 1e3:.1f} ms a step, {rate / 1e12:.1f} TFLOP/s, {100 * rate / peak:.1f} % of the peak measured")
        return 0
    first = metrics(arguments[0])
    for run in arguments[1:]:
        pairs = list(zip(first, metrics(run)))
        worst = max(abs(a["loss"] - b["loss"]) / a["loss"] for a, b in pairs)
        print(f"{run}: {len(pairs)} steps, losses within {worst:.2e} of {arguments[0]}'s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
