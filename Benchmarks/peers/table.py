"""Records to Markdown: reads only."""
import json
import os
import sys


def rate(record):
    return f"{record['flopsPerSecond'] / 1e9:.1f}"


def write_table(folder):
    with open(os.path.join(folder, "peers.jsonl")) as file:
        records = [json.loads(line) for line in file]
    machine = next(r for r in records if r.get("kind") == "machine")
    lines = [f"# Beside the peers: {machine['machine']}", "",
             f"{machine['isa']}, {machine['threads']} thread(s), commit {machine['commit']}, {machine['time']}. Multiply-add "
             f"peak measured {machine['peakFlopsPerSecond'] / 1e9:.1f} GFLOP/s, memory "
             f"{machine['bytesPerSecond'] / 1e9:.1f} GB/s.", "", "Peers: " + "; ".join(machine["peers"]) + ".", ""]
    steps = [r for r in records if r.get("kind") == "step"]
    if steps:
        lines += ["## One training step of mistral-162m", "",
                  "| batch x tokens | threads | what | seconds | spread | speed over PyTorch | peak memory, GB |",
                  "|---|---|---|---|---|---|---|"]
        for r in steps:
            over = f"{r['speedupOverTorch']:.2f}" if r["speedupOverTorch"] else "-"
            lines.append(f"| {r['batch']} x {r['sequence']} | {r['threads']} | {r['peer']} | {r['seconds']:.3f} | "
                         f"{r['spread'] * 100:.1f} % | {over} | {r['peakBytes'] / 1e9:.2f} |")
        lines.append("")
    cells = {}
    for r in records:
        if "pass" in r:
            cells.setdefault((r["outputs"], r["inputs"], r["tokens"]), {}).setdefault(
                (r["structure"], r["requestedDensity"], r["pass"]), []).append(r)
    for (outputs, inputs, tokens), rows in cells.items():
        lines += [f"## {outputs}x{inputs}, T = {tokens}", "",
                  "GF: 10^9 useful operations a second. Ideal: the best dense time times the density. In brackets, with "
                  "row-major activations going in and out. Best peer: of those with a form of the structure.", "",
                  "| structure | density | pass | GF | spread | over best dense | of ideal | best dense, GF | best peer, GF |",
                  "|---|---|---|---|---|---|---|---|---|"]
        for (structure, _, name), group in rows.items():
            own = next(r for r in group if r["peer"] == "filigree")
            met = next(r for r in group if r["peer"] == "filigree row-major")
            dense = min((r for r in group if r["peer"].endswith(" dense") and r["verified"]), key=lambda r: r["seconds"],
                        default=None)
            rivals = [r for r in group if r["verified"] and not r["peer"].startswith("filigree")
                      and not r["peer"].endswith(" dense")]
            rival = min(rivals, key=lambda r: r["seconds"], default=None)
            lines.append(
                f"| {structure} | {own['density']:.3f} | {name} | {rate(own)}{'' if own['verified'] else ' WRONG'} "
                f"({rate(met)}) | {own['spread'] * 100:.1f} % | {own['speedup']:.2f} | {own['shareOfIdeal'] * 100:.0f} % | "
                + (f"{dense['peer'].split()[0]} {rate(dense)}" if dense else "none") + " | "
                + (f"{rival['peer']} {rate(rival)} |" if rival else "none |"))
        lines.append("")
    with open(os.path.join(folder, "README.md"), "w") as file:
        file.write("\n".join(lines))


if __name__ == "__main__":
    write_table(sys.argv[1])
