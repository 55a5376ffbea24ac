"""Tiny Mistrals as transformers saves them, and the scores that it gives, for tests that must not need Python.

    pip install torch==2.15.0 transformers==5.23.0 safetensors==0.8.0
    python make_fixtures.py --out .

- sharded-bf16: grouped queries, head_dim apart from hidden_size / heads, a window shorter than the text, bf16 weights in
  several files with an index, transformers 5's configuration.
- old-fp16: transformers 4's configuration (rope_theta, torch_dtype, no head_dim), fp16 weights in one file, tied embedding.

expected.json holds, for each, token numbers and -ln p of every token given the ones before, in float64 from the stored
weights: what any computation in float32 must come near.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from transformers import MistralConfig, MistralForCausalLM

CASES = {
    "sharded-bf16": (
        torch.bfloat16, "16KB",
        dict(
            hidden_size=32, intermediate_size=56, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
            vocab_size=71, tie_word_embeddings=False, sliding_window=9, rope_theta=50000.0, rms_norm_eps=1e-5)),
    "old-fp16": (
        torch.float16, "1GB",
        dict(
            hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, head_dim=8,
            vocab_size=61, tie_word_embeddings=True, sliding_window=None, rope_theta=10000.0, rms_norm_eps=1e-6)),
}


def old_configuration(config):
    """As the configuration of Mistral 7B v0.1 was written in 2023: no head_dim, theta at the top."""
    return {
        "architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": config.hidden_size, "initializer_range": 0.15, "intermediate_size": config.intermediate_size,
        "max_position_embeddings": 128, "model_type": "mistral", "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": config.num_hidden_layers, "num_key_value_heads": config.num_key_value_heads,
        "rms_norm_eps": config.rms_norm_eps, "rope_theta": 10000.0, "sliding_window": None, "tie_word_embeddings": True,
        "torch_dtype": "float16", "transformers_version": "4.34.0.dev0", "use_cache": True, "vocab_size": config.vocab_size,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("."))
    out = parser.parse_args().out
    torch.set_num_threads(1)
    expected = {}
    for name, (dtype, shard, settings) in CASES.items():
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        torch.manual_seed(len(name))
        model = MistralForCausalLM(MistralConfig(**settings, initializer_range=0.15, max_position_embeddings=128)).to(dtype)
        model.save_pretrained(folder, max_shard_size=shard)
        if name == "old-fp16":
            (folder / "config.json").write_text(json.dumps(old_configuration(model.config), indent=2) + "\n")
        # Read back what is in the files, and compute in float64: RoPE's table and the norms too.
        torch.set_default_dtype(torch.float64)
        reread = MistralForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
        tokens = torch.randint(3, settings["vocab_size"], (1, 49))
        with torch.no_grad():
            logits = reread(tokens).logits[0, :-1].double()
        nll = torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="none")
        torch.set_default_dtype(torch.float32)
        expected[name] = {"tokens": tokens[0].tolist(), "nll": nll.tolist()}
    (out / "expected.json").write_text(json.dumps(expected) + "\n")


main()
