"""One training step of mistral-162m: Filigree beside transformers' MistralForCausalLM with PyTorch's fused AdamW."""
import os
import subprocess
import sys
import numpy as np
from filigree import Filigree, Model
from timing import interleave

RATE = 1e-4
PRESET = "mistral-162m"


def torch_model(torch):
    from transformers import MistralConfig, MistralForCausalLM
    torch.manual_seed(1)
    configuration = MistralConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, num_key_value_heads=12,
        head_dim=64, vocab_size=32000, rms_norm_eps=1e-6, sliding_window=4096, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, use_cache=False, attn_implementation="sdpa")
    model = MistralForCausalLM(configuration).train()
    decayed = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
                                  lr=RATE, betas=(0.9, 0.95), eps=1e-8, fused=True)
    return model, optimizer


def torch_step(torch, model, optimizer, tokens):
    ids = torch.from_numpy(tokens.astype(np.int64))
    kept = {}

    def step():
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        kept["loss"] = float(loss)
        return kept["loss"]
    return step


def own_step(model, tokens):
    """transformers predicts token t + 1 at place t and leaves the last place out."""
    targets = np.concatenate([tokens[:, 1:], np.full((len(tokens), 1), -1)], 1).astype(np.int32)
    inputs = np.ascontiguousarray(tokens.astype(np.int32))
    return lambda: model.step(inputs, np.ascontiguousarray(targets), RATE)


def drawn(batch, sequence):
    return np.random.default_rng(1).integers(0, 32000, (batch, sequence))


def time_steps(filigree, peers, records, batch, sequence, threads, repeats, options):
    tokens = drawn(batch, sequence)
    own = Model(filigree, PRESET, "dense", 1.0, batch, sequence)
    sparse = Model(filigree, PRESET, "bsr-32", 0.1, batch, sequence)
    calls = {"filigree dense": own_step(own, tokens), "filigree bsr-32 d=0.1": own_step(sparse, tokens)}
    difference = None
    if "torch" in peers:
        torch = peers["torch"]
        model, optimizer = torch_model(torch)
        for name, parameter in model.named_parameters():
            if own.tensor(name, np.ascontiguousarray(parameter.detach().numpy())) != parameter.numel():
                sys.exit(f"Filigree has no tensor {name} of this size")
        step = torch_step(torch, model, optimizer, tokens)
        # The same step: three losses from the same weights, so that gradients and the optimiser count too.
        losses = [(step(), calls["filigree dense"]()) for _ in range(3)]
        difference = max(abs(a - b) / a for a, b in losses)
        print(f"step {batch}x{sequence}: losses {losses}, greatest relative difference {difference:.1e}", flush=True)
        calls["torch transformers"] = step
    times = interleave(list(calls.items()), 0, least=repeats)
    for name, (seconds, spread, count) in times.items():
        memory = peak_memory(name, batch, sequence, threads, options)
        records.add(kind="step", preset=PRESET, peer=name, batch=batch, sequence=sequence, threads=threads,
                    isa=filigree.isa, seconds=seconds, spread=spread, repeats=count, peakBytes=memory,
                    verified=difference is None or difference < 1e-4, lossDifference=difference,
                    speedupOverTorch=times["torch transformers"][0] / seconds if "torch transformers" in times else None)
        print(f"step {batch}x{sequence} {name:24s} {seconds:8.3f} s +- {spread * 100:.1f} %, peak {memory / 1e9:.2f} GB",
              flush=True)
    own.close()
    sparse.close()


def peak_memory(name, batch, sequence, threads, options):
    """Greatest resident size of a process that makes one candidate and takes two steps, over its size before."""
    line = [sys.executable, __file__, name, str(batch), str(sequence), str(threads), options.isa, options.bridge]
    out = subprocess.run(line, capture_output=True, text=True)
    if out.returncode:
        sys.exit(out.stderr)
    return int(out.stdout.split()[-1])


def resident(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def alone(name, batch, sequence, threads, isa, bridge):
    tokens = drawn(batch, sequence)
    if name.startswith("torch"):
        import torch
        import transformers.models.mistral.modeling_mistral
        torch.set_num_threads(threads)
        before = resident("VmRSS")
        step = torch_step(torch, *torch_model(torch), tokens)
    else:
        library = Filigree(bridge, threads, isa)
        before = resident("VmRSS")
        structure, density = ("bsr-32", 0.1) if "bsr" in name else ("dense", 1.0)
        step = own_step(Model(library, PRESET, structure, density, batch, sequence), tokens)
    step()
    step()
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    alone(sys.argv[1], *map(int, sys.argv[2:5]), *sys.argv[5:7])
