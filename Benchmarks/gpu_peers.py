#!/usr/bin/env python3
"""Times PyTorch on the card: dense products (cuBLAS), BSR and semi-structured weights, and a compiled Mistral training step.

gpu_peers.py OUT.jsonl   one JSON object a line. CUDA events, warm, inputs rotated among four sets, medians of 20. What this
PyTorch cannot do is a line with "error".
"""
import json
import statistics
import sys

import torch

TOKENS = 8192
SHAPES = [(4096, 14336), (14336, 4096), (3072, 768), (768, 3072)]


def seconds(body, sets, repeats=20):
    """Median seconds of body(*sets[i]) for i in turn."""
    for inputs in sets:
        body(*inputs)
    times = []
    for i in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        body(*sets[i % len(sets)])
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e-3)
    middle = statistics.median(times)
    return middle, statistics.median(abs(t - middle) for t in times) / middle


def normals(*shape):
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


def block_sparse(outputs, inputs, side, density):
    """A BSR weight with the same number of random blocks in every row."""
    rows, columns = outputs // side, inputs // side
    kept = max(1, round(density * columns))
    start = torch.arange(0, rows * kept + 1, kept)
    chosen = torch.cat([torch.randperm(columns)[:kept].sort().values for _ in range(rows)])
    values = torch.randn(rows * kept, side, side, dtype=torch.bfloat16)
    return torch.sparse_bsr_tensor(start, chosen, values, size=(outputs, inputs), device="cuda")


def products(write):
    for outputs, inputs in SHAPES:
        flops = 2 * outputs * inputs * TOKENS
        sets = [(normals(TOKENS, inputs), normals(outputs, inputs), normals(TOKENS, outputs)) for _ in range(4)]
        passes = {
            "forward": lambda x, w, dy: x @ w.T,
            "inputGradient": lambda x, w, dy: dy @ w,
            "weightGradient": lambda x, w, dy: dy.T @ x,
        }
        for name, body in passes.items():
            write(dict(peer="torch dense", outputs=outputs, inputs=inputs, tokens=TOKENS, density=1.0, **{"pass": name}),
                  lambda: seconds(body, sets), flops)
        for side in (64, 128):
            for density in (0.5, 0.1, 0.05):
                def bsr():
                    weight = block_sparse(outputs, inputs, side, density)
                    return seconds(lambda x, w, dy: weight @ x.T, sets)
                write(dict(peer=f"torch bsr-{side}", outputs=outputs, inputs=inputs, tokens=TOKENS, density=density,
                           **{"pass": "forward"}), bsr, flops * density)

        def semi_structured():
            mask = torch.tensor([1, 1, 0, 0], device="cuda", dtype=torch.bool).tile((outputs, inputs // 4))
            weight = torch.sparse.to_sparse_semi_structured(normals(outputs, inputs) * mask)
            return seconds(lambda x, w, dy: torch.nn.functional.linear(x, weight), sets)
        write(dict(peer="torch 2:4", outputs=outputs, inputs=inputs, tokens=TOKENS, density=0.5, **{"pass": "forward"}),
              semi_structured, flops / 2)


def training_step(write):
    def run():
        from transformers import MistralConfig, MistralForCausalLM
        config = MistralConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, num_key_value_heads=12,
            vocab_size=32000, sliding_window=None, max_position_embeddings=1024, attn_implementation="sdpa", use_cache=False)
        model = MistralForCausalLM(config).cuda()
        optimizer = torch.optim.AdamW(model.parameters(), lr=6e-4, fused=True)
        compiled = torch.compile(model)
        sets = [(torch.randint(0, 32000, (16, 1024), device="cuda"),) for _ in range(4)]

        # 64 sequences as four of 16, so that the logits fit beside the rest.
        def step(tokens):
            for _ in range(4):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = compiled(input_ids=tokens, labels=tokens).loss / 4
                loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return seconds(step, sets, repeats=10)
    write(dict(peer="torch.compile transformers Mistral 162M", tokens=64 * 1024, **{"pass": "step"}), run, None)


def main(path):
    device = torch.cuda.get_device_name()
    with open(path, "a", encoding="utf-8") as file:
        def write(record, measure, flops):
            record.update(schema="filigree.peer/1", device=device, torch=torch.__version__, dtype="bfloat16")
            try:
                record["seconds"], record["spread"] = measure()
                if flops:
                    record["flopsPerSecond"] = flops / record["seconds"]
            except Exception as error:  # What a peer cannot do is a result too.
                record["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(record)
        products(write)
        training_step(write)


if __name__ == "__main__":
    main(sys.argv[1])
