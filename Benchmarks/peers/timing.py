"""Interleaved timing, rounding bounds, and records: the same rules as `filigree bench` (docs/Measuring.md)."""
import json
import os
import time
import numpy as np

PASSES = ("forward", "inputGradient", "weightGradient")
WARMED_BELOW = 5e-3
# One call does not bring all operands back: a dense product of one token takes 0.414 ms after one and 0.286 ms after two.
WARMING_CALLS = 2


def interleave(candidates, budget, least=7):
    """[(name, call)] -> {name: (median, spread, repeats)}; A B C, B C A, C A B, each called once before to warm.

    A call under WARMED_BELOW seconds is made WARMING_CALLS times more, untimed, before each sample: its operands may fit into a
    cache, and some candidates share theirs with the one before them.
    """
    calls, warmed = {}, {}
    for name, call in candidates:
        call()
        start = time.perf_counter()
        call()
        once = time.perf_counter() - start
        calls[name] = max(1, int(200e-6 / max(once, 1e-7)))
        warmed[name] = once < WARMED_BELOW
    samples = {name: [] for name, _ in candidates}
    start, turn = time.perf_counter(), 0
    while turn < least or time.perf_counter() - start < budget:
        order = candidates[turn % len(candidates):] + candidates[:turn % len(candidates)]
        for name, call in order:
            if warmed[name]:
                for _ in range(WARMING_CALLS):
                    call()
            begin = time.perf_counter()
            for _ in range(calls[name]):
                call()
            samples[name].append((time.perf_counter() - begin) / calls[name])
        turn += 1
    result = {}
    for name, values in samples.items():
        median = float(np.median(values))
        result[name] = (median, float(np.median(np.abs(np.array(values) - median))) / median, len(values))
    return result


def error_fraction(got, left, right, depth):
    """Worst error of got = left right against the product in double, as a fraction of gamma_depth times the absolute one."""
    u = 2.0 ** -24
    gamma = depth * u / (1 - depth * u)
    exact, size = left @ right, np.abs(left) @ np.abs(right)
    error = np.abs(got.astype(np.float64) - exact)
    if not np.all(np.isfinite(error)):
        return float("inf")
    return float(np.max(error / (gamma * size + 1e-30)))


class Records:
    def __init__(self, folder, machine, commit):
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, "peers.jsonl")
        self.machine, self.commit, self.rows = machine, commit, []
        open(self.path, "w").close()

    def add(self, **fields):
        fields = {"schema": "filigree.bench-peers/1", **fields, "machine": self.machine, "commit": self.commit,
                  "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self.rows.append(fields)
        with open(self.path, "a") as file:
            file.write(json.dumps(fields) + "\n")
