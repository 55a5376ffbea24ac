"""Does a densified export compute in transformers what Filigree computes?

    python check_export.py FILIGREE EXPORT [--tokens 1,2,3]     FILIGREE: the program; EXPORT: what `export` wrote

Loads the export with transformers in float32, scores the same tokens with both, and exits with status 1 where a token's
score differs by 1e-4 nats or more, where the directory holds a field that names Filigree, or where the tokenizer that was
written with it does not give back a text.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("filigree")
    parser.add_argument("export", type=Path)
    parser.add_argument("--tokens")
    arguments = parser.parse_args()
    if not (arguments.export / "config.json").exists():
        sys.exit(f"{arguments.export} is not what `export` writes")
    model = AutoModelForCausalLM.from_pretrained(arguments.export, dtype=torch.float32).eval()
    if arguments.tokens:
        tokens = [int(token) for token in arguments.tokens.split(",")]
    else:
        torch.manual_seed(1)
        tokens = torch.randint(0, model.config.vocab_size, (128,)).tolist()
    text = subprocess.run(
        [arguments.filigree, "score", arguments.export, "--tokens", ",".join(map(str, tokens)), "--json", "--quiet"],
        check=True, capture_output=True, text=True).stdout
    mine = torch.tensor(json.loads(text)["nll"], dtype=torch.float64)
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0, :-1].double()
    theirs = torch.nn.functional.cross_entropy(logits, torch.tensor(tokens[1:]), reduction="none")
    worst = (mine - theirs).abs().max().item()
    print(f"loss {theirs.mean():.7f} (transformers) {mine.mean():.7f} (filigree), largest difference {worst:.2e} nats")
    foreign = [path.name for path in arguments.export.iterdir() if b"filigree" in path.read_bytes()[:1 << 20].lower()]
    print(f"files that name Filigree: {foreign or 'none'}")
    failed = worst >= 1e-4 or bool(foreign)
    if (arguments.export / "tokenizer.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(arguments.export)
        sample = "The miller's daughter, naïve as ever:\n\t7 × 6 = 42."
        ids = tokenizer.encode(sample, add_special_tokens=False)
        same = tokenizer.decode(ids) == sample
        print(f"tokenizer: {len(ids)} tokens, text given back: {same}")
        failed = failed or not same
    sys.exit(failed)


main()
