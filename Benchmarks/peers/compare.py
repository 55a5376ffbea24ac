"""`make bench-peers`: products and training steps beside the peers, records and a table under Benchmarks/Results."""
import argparse
import os
import subprocess
import sys
from filigree import Filigree
import libraries
from products import Cell
from step import time_steps
from table import write_table
from timing import Records

PATTERNS = ["dense", "bsr-16", "bsr-32", "bsr-64", "csr", "fanin", "blockdiagonal", "monarch", "dyad", "lowrank",
            "blockdense", "btt", "diagonal", "banded", "nm", "vnm"]


def machine():
    text = subprocess.run(["lscpu"], capture_output=True, text=True).stdout
    facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    def fact(name):
        return facts.get(name, "?").strip()
    return (f"{fact('Model name')}, family {fact('CPU family')} model {fact('Model')}, {fact('CPU(s)')} processors, "
            f"L1d {fact('L1d cache')}, L2 {fact('L2 cache')}, L3 {fact('L3 cache')}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bridge", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--isa", default="avx2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", default="1,32,256,2048")
    parser.add_argument("--shapes", default="3072x768,768x3072")
    parser.add_argument("--densities", default="0.5,0.25,0.1,0.05")
    parser.add_argument("--structures", default=",".join(PATTERNS))
    parser.add_argument("--budget", type=float, default=0.3)
    parser.add_argument("--steps", default="1x256,4x256", help="batch x sequence of the training steps; empty for none")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    filigree = Filigree(options.bridge, options.threads, options.isa)
    peers = libraries.find(options.threads, options.root)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    records = Records(options.out, machine(), commit)
    peak, bandwidth = filigree.limits()
    names = [libraries.version(name, peers[name]) for name in peers]
    records.add(kind="machine", isa=options.isa, threads=options.threads, peakFlopsPerSecond=peak,
                bytesPerSecond=bandwidth, peers=names)
    print(records.rows[0], flush=True)
    densities = [float(d) for d in options.densities.split(",")]
    for shape in options.shapes.split(",") if options.structures else []:
        for tokens in options.tokens.split(","):
            cell = Cell(filigree, peers, records, [int(n) for n in shape.split("x")], int(tokens), options.threads,
                        options.budget)
            for label in options.structures.split(","):
                for density in [1.0] if label == "dense" else densities:
                    cell.run(label, density)
    for setting in options.steps.split(",") if options.steps else []:
        batch, sequence = (int(n) for n in setting.split("x"))
        time_steps(filigree, peers, records, batch, sequence, options.threads, options.repeats, options)
    write_table(options.out)
    wrong = [r for r in records.rows if r.get("verified") is False and r.get("peer", "").startswith("filigree")]
    if wrong:
        sys.exit(f"{len(wrong)} products of Filigree are WRONG; see verified in the records")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
