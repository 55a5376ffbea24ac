"""Reference values of Hugging Face's Mistral, for tests that must not need Python.

Each case gives four small files: a configuration, one forward and backward pass layer by layer, and ten steps of AdamW.
Everything is computed in float64 on one CPU thread, from weights that float32 holds exactly; values are rounded to F32 when
stored, losses and norms stay F64. Letters: B sequences, S positions, H heads, D features a head.

    python make_fixtures.py --out .            write the files
    python make_fixtures.py --out . --check    read them back and recompute them without transformers
"""

import argparse
import json
import math
from pathlib import Path

import numpy
import safetensors
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode
from transformers import MistralConfig, MistralForCausalLM
from transformers.models.mistral import modeling_mistral

BATCH = 2
STEPS, WARM_UP, PEAK, FLOOR = 10, 3, 1e-2, 0.1
BETAS, EPSILON, DECAY, MAXIMUM_NORM = (0.9, 0.95), 1e-8, 0.1, 1.0
PROMPT, CONTINUATION, SCORED = 5, 16, 33

# name: (seed, S, configuration). `gqa` shares each key head between two query heads; `window` masks all but the last 11
# positions, ties the embedding to the output and has H D != hidden_size.
CASES = {
    "gqa": (23, 37, dict(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        vocab_size=67, tie_word_embeddings=False, sliding_window=None, rope_theta=10000.0)),
    "window": (8, 48, dict(
        hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, head_dim=16,
        vocab_size=61, tie_word_embeddings=True, sliding_window=11, rope_theta=1000.0)),
}


class Float64Throughout(TorchFunctionMode):
    """Answers every request for float32 with float64.

    The model's own code asks for float32 in RMSNorm, softmax and RoPE even when its weights are float64. It runs unchanged
    here; only the type it names is replaced, and a float32 result is refused.
    """

    def __torch_function__(self, function, types, arguments=(), named=None):
        def widen(value):
            return torch.float64 if value is torch.float32 else value

        if function is torch.Tensor.float:
            function = torch.Tensor.double
        result = function(*map(widen, arguments), **{name: widen(value) for name, value in (named or {}).items()})
        assert not (isinstance(result, torch.Tensor) and result.dtype == torch.float32), f"{function} gave float32"
        return result


def make_model(seed, settings):
    """Weights ~ N(0, 0.15^2), norms ~ N(1, 0.2^2), rounded to float32; numpy never changes `RandomState`'s stream."""
    settings = dict(settings)
    rope = {"rope_type": "default", "rope_theta": settings.pop("rope_theta")}
    config = MistralConfig(
        **settings, rope_parameters=rope, rms_norm_eps=1e-6, initializer_range=0.15, max_position_embeddings=128,
        attn_implementation="eager", architectures=["MistralForCausalLM"], dtype="float32")
    model = MistralForCausalLM(config).double().eval()
    random = numpy.random.RandomState(seed)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            center, deviation = (1, 0.2) if weight.dim() == 1 else (0, config.initializer_range)
            drawn = center + deviation * random.standard_normal(tuple(weight.shape))
            weight.copy_(torch.from_numpy(drawn.astype(numpy.float32)))
    return model


def cross_entropy(logits, targets):
    """-log p(target), nats, one per position: [..., S]."""
    return -torch.log_softmax(logits, -1).gather(-1, targets.long().unsqueeze(-1)).squeeze(-1)


def record(model, kept):
    """Keeps the activations of the next forward pass in `kept`; returns what removes the recorder again."""

    def keep(module, before, after):
        def hook(_, arguments, output):
            if before:
                kept[before] = arguments[0]
            kept[after] = output
        return module.register_forward_hook(hook)

    handles = [keep(model.model.norm, None, "final")]
    for index, layer in enumerate(model.model.layers):
        name = f"layers/{index}/"
        handles += [
            keep(layer.input_layernorm, name + "input", name + "normed1"),
            keep(layer.post_attention_layernorm, name + "middle", name + "normed2"),
            keep(layer.mlp, None, name + "mlp"),
            keep(layer, None, name + "output"),
        ]
    attend = modeling_mistral.eager_attention_forward

    def attend_and_keep(module, query, key, value, *rest, **named):
        output, weights = attend(module, query, key, value, *rest, **named)
        name = f"layers/{module.layer_idx}/"
        for part, heads in (("q", query), ("k", key), ("v", value)):
            kept[name + part] = heads.transpose(1, 2).flatten(2)  # [B, H, S, D] to [B, S, H D]
        kept[name + "attention"] = output.flatten(2)
        return output, weights

    modeling_mistral.eager_attention_forward = attend_and_keep

    def stop():
        modeling_mistral.eager_attention_forward = attend
        for handle in handles:
            handle.remove()

    return stop


def one_pass(model, tokens):
    """Forward and backward of the mean cross-entropy of tokens[:, 1:] given tokens[:, :-1]; tokens [B, S + 1]."""
    kept = {}
    stop = record(model, kept)
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    stop()
    kept["logits"] = logits
    followed = [f"layers/{index}/input" for index in range(len(model.model.layers))] + ["logits"]
    for name in followed:
        kept[name].retain_grad()
    loss = cross_entropy(logits, tokens[:, 1:]).mean()
    model.zero_grad()
    loss.backward()
    results = {name: value.detach() for name, value in kept.items()}
    results |= {f"activation_gradients/{name}": kept[name].grad for name in followed}
    results |= {f"gradients/{name}": weight.grad for name, weight in model.named_parameters()}
    return results, loss.detach()


@torch.no_grad()
def scores(model, random):
    """The negative log-likelihood of a random sequence, and the greedy continuation of a random prompt, without a cache.

    Refuses a seed for which the two best logits come closer than 0.01: float32 must choose the same tokens.
    """
    vocabulary = model.config.vocab_size
    tokens = torch.from_numpy(random.randint(0, vocabulary, SCORED))
    logits = model(input_ids=tokens[None, :-1], use_cache=False).logits[0]
    sequence = torch.from_numpy(random.randint(0, vocabulary, PROMPT))
    for _ in range(CONTINUATION):
        best = model(input_ids=sequence[None], use_cache=False).logits[0, -1].topk(2)
        assert best.values[0] - best.values[1] > 0.01, "a greedy choice is nearly a tie: change the seed"
        sequence = torch.cat([sequence, best.indices[:1]])
    return {
        "score/tokens": tokens, "score/nll": cross_entropy(logits, tokens[1:]),
        "greedy/prompt": sequence[:PROMPT], "greedy/tokens": sequence[PROMPT:],
    }


def learning_rate(step):
    """Linear to the peak over WARM_UP steps, then a cosine to FLOOR times the peak that step STEPS would reach."""
    if step < WARM_UP:
        return PEAK * (step + 1) / WARM_UP
    return PEAK * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / (STEPS - WARM_UP))))


def zipf_tokens(random, shape, vocabulary):
    """Token t with probability proportional to 1 / (t + 1), so that ten steps have something to learn."""
    weights = 1 / numpy.arange(1, vocabulary + 1)
    return torch.from_numpy(random.choice(vocabulary, size=shape, p=weights / weights.sum()))


def train(model, tokens):
    """AdamW after clipping to a global norm; only matrices decay. Loss before the update, norm before clipping."""
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [weight for weight in weights if weight.dim() == 2], "weight_decay": DECAY},
         {"params": [weight for weight in weights if weight.dim() == 1], "weight_decay": 0.0}],
        betas=BETAS, eps=EPSILON)
    rates, losses, norms = [], [], []
    for step in range(STEPS):
        rates.append(learning_rate(step))
        for group in optimizer.param_groups:
            group["lr"] = rates[-1]
        optimizer.zero_grad()
        loss = cross_entropy(model(input_ids=tokens[step, :, :-1], use_cache=False).logits, tokens[step, :, 1:]).mean()
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(weights, MAXIMUM_NORM).item())
        optimizer.step()
    return {"trace/learning_rate": rates, "trace/loss": losses, "trace/gradient_norm": norms}


def store(path, tensors):
    """F64 for lists and what names a loss, I32 for tokens, F32 for the rest."""
    stored = {}
    for name, value in tensors.items():
        if isinstance(value, list):
            stored[name] = torch.tensor(value, dtype=torch.float64)
        elif not value.is_floating_point():
            stored[name] = value.to(torch.int32).contiguous()
        elif name in ("loss", "score/nll"):
            stored[name] = value.clone()
        else:
            stored[name] = value.detach().to(torch.float32).contiguous().clone()
        assert not stored[name].is_floating_point() or stored[name].isfinite().all(), name
    versions = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
    save_file(stored, path, {"made_with": versions})  # one entry only: the order of several would change from run to run
    path.chmod(0o644)


def make(out, case):
    seed, length, settings = CASES[case]
    random = numpy.random.RandomState(100 + seed)
    with Float64Throughout():
        model = make_model(seed, settings)
        vocabulary = model.config.vocab_size
        tokens = torch.from_numpy(random.randint(0, vocabulary, (BATCH, length + 1)))
        initial = {f"weights/{name}": weight.detach().clone() for name, weight in model.named_parameters()}
        results, loss = one_pass(model, tokens)
        results |= {"tokens": tokens, "loss": loss.reshape(1)} | scores(model, random)
        trace_tokens = zipf_tokens(random, (STEPS, BATCH, length + 1), vocabulary)
        trace = {"trace/tokens": trace_tokens} | train(model, trace_tokens)
        trace |= {f"trace/weights/{name}": weight for name, weight in model.named_parameters()}
    model.config.to_json_file(out / f"mistral-{case}.config.json")
    store(out / f"mistral-{case}.safetensors", initial | results)
    store(out / f"mistral-{case}.trace.safetensors", trace)
    print(f"{case}: loss {loss.item():.6f}, trace {trace['trace/loss'][0]:.4f} to {trace['trace/loss'][-1]:.4f}, "
          f"norms {min(trace['trace/gradient_norm']):.3f} to {max(trace['trace/gradient_norm']):.3f}")


class Recomputed:
    """The same model from its definition, reading only the files: no transformers, no torch.nn, no torch.optim."""

    def __init__(self, config, weights):
        self.config, self.weights, self.kept = config, weights, {}

    def norm(self, x, name):
        mean_square = (x * x).sum(-1, keepdim=True) / x.shape[-1]
        return x / (mean_square + self.config["rms_norm_eps"]).sqrt() * self.weights[name]

    def rotate(self, x):
        """(x_i, x_(i + D/2)) as a complex number, times exp(i p theta^(-2 i / D)) at position p; x [B, S, H, D]."""
        half = x.shape[-1] // 2
        theta = self.config["rope_parameters"]["rope_theta"]
        angles = torch.tensor([[p * theta ** (-i / half) for i in range(half)] for p in range(x.shape[1])], dtype=x.dtype)
        turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angles), angles)[None, :, None]
        return torch.cat([turned.real, turned.imag], -1)

    def attend(self, q, k, v):
        """Position p sees r for p - window < r <= p; query head h reads key head h / (H / K) rounded down."""
        length, shared = q.shape[1], q.shape[2] // k.shape[2]
        window = self.config["sliding_window"] or length
        seen = torch.tensor([[p - window < r <= p for r in range(length)] for p in range(length)])
        heads = []
        for h in range(q.shape[2]):
            scores = torch.einsum("bpd,brd->bpr", q[:, :, h], k[:, :, h // shared]) / math.sqrt(q.shape[-1])
            odds = torch.where(seen, (scores - scores.detach().amax(-1, keepdim=True)).exp(), 0.0)
            heads.append(odds / odds.sum(-1, keepdim=True) @ v[:, :, h // shared])
        return torch.cat(heads, -1)

    def logits(self, tokens):
        kept, weights, depth = self.kept, self.weights, self.config["head_dim"]
        x = weights["model.embed_tokens.weight"][tokens.long()]
        for index in range(self.config["num_hidden_layers"]):
            name, prefix = f"layers/{index}/", f"model.layers.{index}."
            apply = lambda x, part: x @ weights[prefix + part + ".weight"].T
            normed = self.norm(x, prefix + "input_layernorm.weight")
            q, k, v = (apply(normed, f"self_attn.{part}_proj").unflatten(-1, (-1, depth)) for part in "qkv")
            q, k = self.rotate(q), self.rotate(k)
            attention = self.attend(q, k, v)
            middle = x + apply(attention, "self_attn.o_proj")
            normed2 = self.norm(middle, prefix + "post_attention_layernorm.weight")
            gate = apply(normed2, "mlp.gate_proj")
            mlp = apply(gate / (1 + (-gate).exp()) * apply(normed2, "mlp.up_proj"), "mlp.down_proj")
            kept |= {name + "input": x, name + "normed1": normed, name + "q": q.flatten(2), name + "k": k.flatten(2),
                     name + "v": v.flatten(2), name + "attention": attention, name + "middle": middle,
                     name + "normed2": normed2, name + "mlp": mlp, name + "output": middle + mlp}
            x = middle + mlp
        kept["final"] = self.norm(x, "model.norm.weight")
        tied = self.config["tie_word_embeddings"]
        kept["logits"] = kept["final"] @ weights["model.embed_tokens.weight" if tied else "lm_head.weight"].T
        return kept["logits"]

    def loss(self, tokens):
        """The mean over B S positions of log sum exp(logits) - logits[target]."""
        logits, targets = self.logits(tokens[:, :-1]), tokens[:, 1:].long()
        return (logits.logsumexp(-1) - logits.gather(-1, targets[..., None])[..., 0]).mean()


def start(file, dtype=torch.float64):
    return {name.removeprefix("weights/"): value.to(dtype).requires_grad_()
            for name, value in file.items() if name.startswith("weights/")}


def recompute_trace(config, weights, trace):
    """AdamW by hand: w (1 - rate decay) - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps), gradients clipped first."""
    first = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    second = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    losses, norms = [], []
    for step, tokens in enumerate(trace["trace/tokens"]):
        loss = Recomputed(config, weights).loss(tokens)
        gradients = dict(zip(weights, torch.autograd.grad(loss, list(weights.values()))))
        norm = math.sqrt(sum((gradient**2).sum().item() for gradient in gradients.values()))
        losses.append(loss.item())
        norms.append(norm)
        rate, t = learning_rate(step), step + 1
        for name, weight in weights.items():
            gradient = gradients[name] * min(1, MAXIMUM_NORM / (norm + 1e-6))
            first[name] = BETAS[0] * first[name] + (1 - BETAS[0]) * gradient
            second[name] = BETAS[1] * second[name] + (1 - BETAS[1]) * gradient**2
            move = first[name] / (1 - BETAS[0] ** t) / ((second[name] / (1 - BETAS[1] ** t)).sqrt() + EPSILON)
            decay = DECAY if weight.dim() == 2 else 0
            weights[name] = (weight * (1 - rate * decay) - rate * move).detach().requires_grad_()
    return losses, norms, weights


def check(out, case):
    """Every stored value from the definition: F64 to 1e-11, F32 to its rounding; the gradient also along a direction."""
    config = json.loads((out / f"mistral-{case}.config.json").read_text())
    file = load_file(out / f"mistral-{case}.safetensors")
    trace = load_file(out / f"mistral-{case}.trace.safetensors")
    given = {"tokens", "score/tokens", "greedy/prompt", "trace/tokens"} | {name for name in file if name.startswith("weights/")}
    compared = set()

    def same(name, found, expected):
        expected_double = expected.double()
        bound = 1e-11 if expected.dtype == torch.float64 else 2**-24
        error = ((found.detach() - expected_double).abs() / expected_double.abs().clamp(min=1e-3)).max().item()
        assert found.shape == expected.shape and error <= bound * 1.01, f"{case} {name}: {error}"
        compared.add(name)

    model = Recomputed(config, start(file))
    loss = model.loss(file["tokens"])
    followed = [name.removeprefix("activation_gradients/") for name in file if name.startswith("activation_gradients/")]
    gradients = torch.autograd.grad(loss, list(model.weights.values()) + [model.kept[name] for name in followed])
    same("loss", loss.reshape(1), file["loss"])
    for name, value in model.kept.items():
        same(name, value, file[name])
    names = [f"gradients/{name}" for name in model.weights] + [f"activation_gradients/{name}" for name in followed]
    for name, value in zip(names, gradients):
        same(name, value, file[name])

    random, step, slope, rounding = numpy.random.RandomState(7), 1e-6, 0.0, 0.0
    ahead, behind = {}, {}
    for name, weight in model.weights.items():
        direction = torch.from_numpy(random.standard_normal(tuple(weight.shape)))
        ahead[name], behind[name] = weight + step * direction, weight - step * direction
        terms = direction * file[f"gradients/{name}"]
        slope, rounding = slope + terms.sum().item(), rounding + 2**-24 * terms.abs().sum().item()
    rise = (Recomputed(config, ahead).loss(file["tokens"]) - Recomputed(config, behind).loss(file["tokens"])).item()
    assert abs(rise / (2 * step) - slope) < rounding + 1e-8, f"{case}: finite differences"

    tokens = file["score/tokens"]
    logits = model.logits(tokens[None, :-1])[0]
    same("score/nll", logits.logsumexp(-1) - logits[range(SCORED - 1), tokens[1:].long()], file["score/nll"])
    sequence = file["greedy/prompt"]
    for _ in range(CONTINUATION):
        sequence = torch.cat([sequence, model.logits(sequence[None])[0, -1:].argmax(-1).to(torch.int32)])
    same("greedy/tokens", sequence[PROMPT:], file["greedy/tokens"])

    losses, norms, weights = recompute_trace(config, start(file), trace)
    same("trace/loss", torch.tensor(losses, dtype=torch.float64), trace["trace/loss"])
    same("trace/gradient_norm", torch.tensor(norms, dtype=torch.float64), trace["trace/gradient_norm"])
    for name, weight in weights.items():
        same(f"trace/weights/{name}", weight, trace[f"trace/weights/{name}"])
    rates = torch.tensor([learning_rate(step) for step in range(STEPS)], dtype=torch.float64)
    same("trace/learning_rate", rates, trace["trace/learning_rate"])
    assert compared | given == set(file) | set(trace), "a tensor was not compared"

    losses, norms, single = recompute_trace(config, start(file, torch.float32), trace)
    drift = max(abs(a - b) for a, b in zip(losses, trace["trace/loss"].tolist()))
    drift_norm = max(abs(a / b - 1) for a, b in zip(norms, trace["trace/gradient_norm"].tolist()))
    apart = max((single[name].double() - weights[name]).abs().max().item() for name in weights)
    print(f"{case}: {len(compared)} results agree; the same trace in float32 drifts by {drift:.1e} in loss, "
          f"{drift_norm:.1e} (relative) in gradient norm, {apart:.1e} in a weight")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder of the fixtures")
    parser.add_argument("--check", action="store_true", help="recompute the files that are there instead of writing them")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, "
          f"safetensors {safetensors.__version__}, numpy {numpy.__version__}")
    for case in CASES:
        (check if arguments.check else make)(arguments.out, case)


if __name__ == "__main__":
    main()
