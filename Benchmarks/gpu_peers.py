#!/usr/bin/env python3
"""Times PyTorch on the card: dense products (cuBLAS), BSR and semi-structured weights, and a compiled Mistral training step.

gpu_peers.py products OUT.jsonl --shapes 4096x14336,14336x4096 --peers dense,bsr-64,2:4 --densities 0.5,0.1 [--tokens 8192]
gpu_peers.py step OUT.jsonl [--sequences 64]

One JSON object a line; what this PyTorch cannot do is a line with "error". --device cpu serves to try the program out.

`seconds` is taken as `filigree bench` takes its own (Sources/Measuring/Sampler.swift), so that ratios are fair: the host's
clock around a call that ends with a synchronisation, one set of buffers; every candidate called once to warm; several calls
a sample where one takes less than 50 us, two more before each sample where one takes less than 5 ms; candidates in turn
(A B C, B C A, ...), seven rounds and as many as begin within --budget; median, and median absolute deviation over it.
`eventSeconds` is the same call by CUDA events with four sets of buffers in rotation: what the other way of timing would say.
A step is timed as `filigree train` times its own: the host's clock from the tokens on the host to the loss on the host, the
first two steps left out, median of the rest.
"""
import argparse
import itertools
import json
import os
import statistics
import sys
import time
import warnings

import torch

from gpu_timing import interleave

# Support of BSR is in beta state, and says so.
warnings.filterwarnings("ignore", message="Sparse ")

SETS = 4
PASSES = ("forward", "inputGradient", "weightGradient")


def spread(samples):
    middle = statistics.median(samples)
    return statistics.median(abs(t - middle) for t in samples) / middle if middle else 0.0


class Products:
    def __init__(self, device, tokens, budget, write):
        self.device, self.tokens, self.budget, self.write = device, tokens, budget, write

    def synchronize(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def normals(self, *shape):
        return torch.randn(*shape, device=self.device, dtype=torch.bfloat16)

    def block_sparse(self, outputs, inputs, side, density):
        """Rows with the same number of random blocks, and the same matrix transposed."""
        rows, columns = outputs // side, inputs // side
        kept = max(1, round(density * columns))
        chosen = torch.stack([torch.randperm(columns)[:kept].sort().values for _ in range(rows)])
        values = torch.randn(rows * kept, side, side, dtype=torch.bfloat16)
        weight = torch.sparse_bsr_tensor(torch.arange(0, rows * kept + 1, kept), chosen.flatten(), values,
                                         size=(outputs, inputs), device=self.device)
        # The blocks of each column, from the first row down.
        order = torch.argsort(chosen.flatten() * rows + torch.arange(rows).repeat_interleave(kept))
        starts = torch.cat([torch.zeros(1, dtype=torch.long), torch.bincount(chosen.flatten(), minlength=columns).cumsum(0)])
        transposed = torch.sparse_bsr_tensor(starts, torch.arange(rows).repeat_interleave(kept)[order],
                                             values[order].transpose(1, 2).contiguous(), size=(inputs, outputs),
                                             device=self.device)
        return weight, transposed, kept / columns

    def time(self, record, candidates, flops):
        """The fastest of the candidates, each a function of a set of buffers and those sets."""
        working, errors = [], []
        for name, body, sets in candidates:
            try:
                body(*sets[0])
                self.synchronize()
                working.append((name, body, sets))
            except Exception as error:  # What a peer cannot do is a result too.
                errors.append(f"{name}: {type(error).__name__}: {error}".splitlines()[0][:300])
        if not working:
            return self.write({**record, "error": "; ".join(errors)})

        def call(body, buffers):
            def run():
                body(*buffers)
                self.synchronize()
            return run
        try:
            samples = interleave([call(body, sets[0]) for _, body, sets in working], self.budget)
            best = min(range(len(working)), key=lambda i: statistics.median(samples[i]))
            name, body, sets = working[best]
            seconds = statistics.median(samples[best])
            record = {**record, "how": name, "seconds": seconds, "spread": spread(samples[best]),
                      "repeats": len(samples[best]), "flopsPerSecond": flops / seconds}
            if self.device == "cuda":
                record.update(self.by_events(body, sets))
        except Exception as error:
            record = {**record, "error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        self.write({**record, **({"otherErrors": errors} if errors else {})})

    def by_events(self, body, sets, repeats=20):
        times = []
        for buffers in sets:
            body(*buffers)
        for i in range(repeats):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            body(*sets[i % len(sets)])
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) * 1e-3)
        return dict(eventSeconds=statistics.median(times), eventSpread=spread(times))

    def run(self, outputs, inputs, peers, densities):
        flops = 2 * outputs * inputs * self.tokens
        # Activations lie by tokens, as PyTorch has them, and by features, as the own ones do: the faster counts.
        x, dy = ([self.normals(self.tokens, n) for _ in range(SETS)] for n in (inputs, outputs))
        across = [(a.T.contiguous(), b.T.contiguous()) for a, b in zip(x, dy)]
        along = list(zip(x, dy))

        def record(peer, density, name):
            return {"peer": peer, "outputs": outputs, "inputs": inputs, "tokens": self.tokens, "density": density, "pass": name}

        if "dense" in peers:
            w = [self.normals(outputs, inputs) for _ in range(SETS)]
            tokens = [(a, b, c) for (a, b), c in zip(along, w)]
            features = [(a, b, c) for (a, b), c in zip(across, w)]
            by_tokens = (lambda x, dy, w: x @ w.T, lambda x, dy, w: dy @ w, lambda x, dy, w: dy.T @ x)
            by_features = (lambda x, dy, w: w @ x, lambda x, dy, w: w.T @ dy, lambda x, dy, w: dy @ x.T)
            for name, one, other in zip(PASSES, by_tokens, by_features):
                self.time(record("torch dense", 1.0, name), [("by tokens", one, tokens), ("by features", other, features)], flops)
        for side, asked in itertools.product([int(p[4:]) for p in peers if p.startswith("bsr-")], densities):
            weight, transposed, density = self.block_sparse(outputs, inputs, side, asked)

            def gradient(dy, x, mask=weight):
                from torch.sparse._triton_ops import sampled_addmm
                return sampled_addmm(mask, dy, x, beta=0.0, alpha=1.0)
            products = (
                (lambda x, dy: weight @ x, lambda x, dy: weight @ x.T),
                (lambda x, dy: transposed @ dy, lambda x, dy: transposed @ dy.T),
                (lambda x, dy: gradient(dy, x.T), lambda x, dy: gradient(dy.T, x)))
            for name, (one, other) in zip(PASSES, products):
                entry = {**record(f"torch bsr-{side}", density, name), "requestedDensity": asked}
                self.time(entry, [("by features", one, across), ("by tokens", other, along)], flops * density)
        if "2:4" in peers:
            self.semi_structured(record("torch 2:4", 0.5, "forward"), outputs, inputs, along, flops / 2)

    def semi_structured(self, record, outputs, inputs, along, flops):
        mask = torch.tensor([1, 1, 0, 0], device=self.device, dtype=torch.bool).tile((outputs, inputs // 4))
        dense = self.normals(outputs, inputs) * mask

        def linear(cutlass):
            made = []

            def run(x, dy):
                if not made:
                    torch.sparse.SparseSemiStructuredTensor._FORCE_CUTLASS = cutlass
                    made.append(torch.sparse.to_sparse_semi_structured(dense))
                return torch.nn.functional.linear(x, made[0])
            return run
        self.time(record, [("cuSPARSELt", linear(False), along), ("CUTLASS", linear(True), along)], flops)


def training_step(arguments, write):
    """A step of 64 x 1024 tokens, so many sequences at once: the logits and what backward needs must fit beside the rest."""
    for at_once in arguments.at_once:
        record = {"peer": "torch.compile transformers Mistral 162M", "tokens": arguments.sequences * arguments.sequence,
                  "sequencesAtOnce": at_once, "pass": "step"}
        try:
            record.update(one_step(arguments, at_once))
        except Exception as error:
            record["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        write(record)


def one_step(arguments, at_once):
    from transformers import MistralConfig, MistralForCausalLM
    torch._dynamo.reset()
    shape = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
                 num_key_value_heads=12, vocab_size=32000)
    if arguments.device == "cpu":
        shape = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
                     num_key_value_heads=2, vocab_size=256)
    configuration = MistralConfig(**shape, sliding_window=None, max_position_embeddings=arguments.sequence,
                                  tie_word_embeddings=False, attn_implementation="sdpa", use_cache=False)
    model = MistralForCausalLM(configuration).to(arguments.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-4, betas=(0.9, 0.95), fused=arguments.device == "cuda")
    compiled = torch.compile(model)
    parts = arguments.sequences // at_once
    batches = [torch.randint(0, shape["vocab_size"], (arguments.sequences, arguments.sequence)) for _ in range(SETS)]

    def step(batch):
        total = 0.0
        for part in batch.to(arguments.device).split(at_once):
            with torch.autocast(arguments.device, dtype=torch.bfloat16):
                loss = compiled(input_ids=part, labels=part).loss / parts
            loss.backward()
            total = total + loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(total)
    times = []
    for i in range(arguments.steps + 2):
        start = time.perf_counter()
        step(batches[i % SETS])
        times.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() if arguments.device == "cuda" else None
    kept = times[2:]
    return dict(seconds=statistics.median(kept), spread=spread(kept), repeats=len(kept), warmSeconds=sum(times[:2]),
                parameters=sum(p.numel() for p in model.parameters()), peakBytes=peak)


def without_torn_line(path):
    """Cuts off a last line that an earlier call did not end."""
    if os.path.exists(path):
        with open(path, "rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["products", "step"])
    parser.add_argument("out")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--shapes", default="4096x14336,14336x4096")
    parser.add_argument("--peers", default="dense", help="dense, bsr-SIDE, 2:4")
    parser.add_argument("--densities", default="0.1")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--sequence", type=int, default=1024)
    parser.add_argument("--at-once", default="32,16", help="sequences at once, one after another")
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    arguments.at_once = [int(n) for n in arguments.at_once.split(",")]
    torch.manual_seed(1)
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"
    failures = 0
    with open(without_torn_line(arguments.out), "a", encoding="utf-8") as file:
        def write(record):
            record = {"schema": "filigree.peer/2", "device": name, "torch": torch.__version__, "dtype": "bfloat16", **record}
            file.write(json.dumps(record) + "\n")
            file.flush()
            shown = record.get("error") or f"{record['seconds'] * 1e3:.3f} ms"
            print(record["peer"], record.get("outputs", ""), record.get("inputs", ""), record.get("density", ""),
                  record["pass"], shown, flush=True)
            nonlocal failures
            failures += record["peer"] in ("torch dense",) and "error" in record
        if arguments.what == "step":
            training_step(arguments, write)
        else:
            products = Products(arguments.device, arguments.tokens, arguments.budget, write)
            densities = [float(d) for d in arguments.densities.split(",")]
            for shape in arguments.shapes.split(","):
                outputs, inputs = map(int, shape.split("x"))
                products.run(outputs, inputs, arguments.peers.split(","), densities)
    # Without cuBLAS there is nothing to hold anything against.
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
