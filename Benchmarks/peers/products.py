"""Every structure's three products beside every peer that has a form of them, in one process, on the same data."""
import re
import warnings
import numpy as np
from filigree import Layer
from libraries import MKLSparse, ROW
from timing import PASSES, error_fraction, interleave

warnings.filterwarnings("ignore", message="Sparse")


class Cell:
    def __init__(self, filigree, peers, records, shape, tokens, threads, budget):
        self.filigree, self.peers, self.records, self.tokens, self.threads, self.budget = (
            filigree, peers, records, tokens, threads, budget)
        self.outputs, self.inputs = shape
        random = np.random.default_rng(1)
        self.x = random.standard_normal((tokens, self.inputs), np.float32)
        self.dy = random.standard_normal((tokens, self.outputs), np.float32)
        self.sample = np.unique(random.integers(0, tokens, 24))

    def run(self, label, density):
        try:
            layer = Layer(self.filigree, label, self.outputs, self.inputs, self.tokens, density)
        except ValueError:
            return
        layer.enter(self.x, self.dy)
        layer.run(0)
        for number, name in enumerate(PASSES):
            self.time(layer, number, name, density)
        layer.close()

    def time(self, layer, number, name, density):
        dense = layer.dense.astype(np.float32)
        candidates = {"filigree": (lambda: layer.run(number), lambda: layer.leave(number))}
        met = np.empty_like(layer.leave(number))
        candidates["filigree row-major"] = (layer.as_met(number, self.x, self.dy, met), lambda: met)
        for blas in ("openblas", "mkl", "blis"):
            if blas in self.peers:
                out = np.empty(((self.tokens, self.outputs), (self.tokens, self.inputs), (self.outputs, self.inputs))[number],
                               np.float32)
                candidates[blas + " dense"] = (
                    self.peers[blas].call(number, self.x, self.dy, dense, out), lambda out=out: out)
        candidates.update(self.sparse(layer, number, dense))
        fractions = {}
        for peer, (call, result) in list(candidates.items()):
            try:
                call()
                fractions[peer] = self.check(layer, number, result())
            except (RuntimeError, ValueError, NotImplementedError) as error:
                print(f"peers: {peer} has no {name} of {layer.label}: {str(error).splitlines()[0][:120]}", flush=True)
                del candidates[peer]
        times = interleave([(peer, call) for peer, (call, _) in candidates.items()], self.budget)
        best = min((seconds, peer) for peer, (seconds, _, _) in times.items()
                   if peer.endswith(" dense") and fractions[peer] <= 1) if any(
            peer.endswith(" dense") for peer in times) else (times["filigree"][0], "filigree")
        for peer, (seconds, spread, repeats) in times.items():
            flops = 2.0 * self.tokens * (self.outputs * self.inputs if peer.endswith(" dense") else layer.count)
            self.records.add(
                structure=layer.label, outputs=self.outputs, inputs=self.inputs, tokens=self.tokens,
                density=layer.density, requestedDensity=density, **{"pass": name}, peer=peer, isa=self.filigree.isa,
                threads=self.threads, seconds=seconds, spread=spread, repeats=repeats, flops=flops,
                flopsPerSecond=flops / seconds, verified=bool(fractions[peer] <= 1), errorFraction=fractions[peer],
                dense={"library": best[1], "seconds": best[0]}, speedup=best[0] / seconds,
                shareOfIdeal=best[0] / seconds * layer.density)
        own = times["filigree"]
        rivals = sorted((s, p) for p, (s, _, _) in times.items()
                        if not p.startswith("filigree") and not p.endswith(" dense"))
        print(f"{layer.label:18s} {self.outputs}x{self.inputs} T={self.tokens:<5d} {name:15s} "
              f"{own[0] * 1e3:9.3f} ms  {best[0] / own[0]:6.2f}x dense ({best[1].split()[0]}), "
              f"{best[0] / own[0] * layer.density * 100:4.0f} % of ideal"
              + (f"; best peer {rivals[0][1]} {rivals[0][0] / own[0]:.2f} of our time" if rivals else ""), flush=True)

    def check(self, layer, number, result):
        """Forward and input gradient: all features of a sample of tokens. Weight gradient: all values of masks, else rows."""
        depth = self.outputs + self.inputs + self.tokens + layer.count // max(self.outputs, 1) + 8
        if number == 0:
            return error_fraction(result[self.sample], self.x[self.sample].astype(np.float64), layer.dense.T, depth)
        if number == 1:
            return error_fraction(result[self.sample], self.dy[self.sample].astype(np.float64), layer.dense, depth)
        if result.shape == (self.outputs, self.inputs):
            rows = slice(0, 16)
            return error_fraction(result[rows], self.dy[:, rows].T.astype(np.float64), self.x.astype(np.float64), depth)
        where = layer_places(layer)
        if where is None:
            return 0.0 if np.all(np.isfinite(result)) else float("inf")
        chosen = np.linspace(0, layer.count - 1, 64).astype(int)
        o, i = where[0][chosen], where[1][chosen]
        d, x = self.dy[:, o].astype(np.float64), self.x[:, i].astype(np.float64)
        exact, size = np.sum(d * x, 0), np.sum(np.abs(d * x), 0)
        gamma = depth * 2.0 ** -24
        return float(np.max(np.abs(result.reshape(-1)[chosen] - exact) / (gamma * size)))

    def sparse(self, layer, number, dense):
        """The peers' own forms of this structure: {name: (call, result)}."""
        found = {}
        start, column = layer.pattern("rowStart"), layer.pattern("column")
        block = re.fullmatch(r"bsr-(\d+)", layer.label)
        torch = self.peers.get("torch")
        if layer.label == "dense" and torch:
            tx, tdy, tw = torch.from_numpy(self.x), torch.from_numpy(self.dy), torch.from_numpy(dense)
            outs = torch.empty(((self.tokens, self.outputs), (self.tokens, self.inputs), dense.shape)[number])
            call = (lambda: torch.mm(tx, tw.t(), out=outs), lambda: torch.mm(tdy, tw, out=outs),
                    lambda: torch.mm(tdy.t(), tx, out=outs))[number]
            found["torch mm"] = (call, lambda: outs.numpy())
        if len(start) and not block and layer.count == len(column):
            found.update(self.compressed(layer, number, start, column))
        if block:
            found.update(self.blocks(layer, number, start, column, int(block.group(1))))
        if torch and re.fullmatch(r"blockdiagonal-\d+|monarch-\d+|lowrank-\d+", layer.label) and number < 2:
            found.update(self.batched(layer, number))
        return found

    def compressed(self, layer, number, start, column):
        found, turned = {}, number == 1
        source = np.ascontiguousarray((self.dy if turned else self.x).T)
        rows = self.inputs if turned else self.outputs
        if number < 2:
            if "mkl" in self.peers:
                sparse = MKLSparse(self.peers["mkl"].lib)
                matrix = sparse.csr(start, column, layer.values, self.outputs, self.inputs, self.tokens)
                out = np.empty((rows, self.tokens), np.float32)
                found["mkl csr feature-major"] = (
                    lambda: sparse.product(matrix, turned, source, out), lambda: np.ascontiguousarray(out.T))
            if "scipy" in self.peers:
                matrix2 = self.peers["scipy"].csr_matrix(
                    (layer.values, column, start), shape=(self.outputs, self.inputs))
                if turned:
                    matrix2 = matrix2.T.tocsr()
                kept = {}
                found["scipy csr feature-major"] = (
                    lambda: kept.update(y=matrix2 @ source), lambda: np.ascontiguousarray(kept["y"].T))
            if "torch" in self.peers:
                torch = self.peers["torch"]
                matrix3 = torch.sparse_csr_tensor(
                    torch.from_numpy(start), torch.from_numpy(column), torch.from_numpy(layer.values),
                    size=(self.outputs, self.inputs))
                if turned:
                    matrix3 = matrix3.to_dense().t().contiguous().to_sparse_csr()
                tsource, kept3 = torch.from_numpy(source), {}
                found["torch csr feature-major"] = (
                    lambda: kept3.update(y=matrix3 @ tsource), lambda: np.ascontiguousarray(kept3["y"].numpy().T))
        elif "torch" in self.peers:
            torch = self.peers["torch"]
            zero = torch.sparse_csr_tensor(
                torch.from_numpy(start), torch.from_numpy(column), torch.zeros(layer.count),
                size=(self.outputs, self.inputs))
            tdy, tx, kept4 = torch.from_numpy(np.ascontiguousarray(self.dy.T)), torch.from_numpy(self.x), {}
            found["torch sampled_addmm"] = (
                lambda: kept4.update(y=torch.sparse.sampled_addmm(zero, tdy, tx, beta=0)),
                lambda: kept4["y"].values().numpy())
        return found

    def blocks(self, layer, number, start, column, side):
        found, turned = {}, number == 1
        if number < 2 and "mkl" in self.peers:
            sparse = MKLSparse(self.peers["mkl"].lib)
            matrix = sparse.bsr(start, column, layer.values, side, self.outputs, self.inputs, self.tokens)
            source = np.ascontiguousarray((self.dy if turned else self.x).T)
            out = np.empty((self.inputs if turned else self.outputs, self.tokens), np.float32)
            found["mkl bsr feature-major"] = (
                lambda: sparse.product(matrix, turned, source, out), lambda: np.ascontiguousarray(out.T))
        if number == 0 and "scipy" in self.peers:
            matrix2 = self.peers["scipy"].bsr_matrix(
                (layer.values.reshape(-1, side, side), column, start), shape=(self.outputs, self.inputs))
            source2, kept = np.ascontiguousarray(self.x.T), {}
            found["scipy bsr feature-major"] = (
                lambda: kept.update(y=matrix2 @ source2), lambda: np.ascontiguousarray(kept["y"].T))
        if number == 0 and "torch" in self.peers:
            torch = self.peers["torch"]
            matrix3 = torch.sparse_bsr_tensor(
                torch.from_numpy(start), torch.from_numpy(column),
                torch.from_numpy(layer.values.reshape(-1, side, side)), size=(self.outputs, self.inputs))
            source3, kept3 = torch.from_numpy(np.ascontiguousarray(self.x.T)), {}
            found["torch bsr feature-major"] = (
                lambda: kept3.update(y=matrix3 @ source3), lambda: np.ascontiguousarray(kept3["y"].numpy().T))
        if "libxsmm" in self.peers and self.tokens % 64 == 0 and number != 1:
            from filigree import pointer
            lib, pieces = self.peers["libxsmm"], self.tokens // 64
            def in_pieces(a):
                return np.ascontiguousarray(a.reshape(pieces, 64, -1).transpose(0, 2, 1))
            def sizes():  # made at each call: what it points to lives as long as this function
                return side, self.outputs, self.inputs, self.tokens, pointer(start), pointer(column)
            def checked(status):
                if status:
                    raise ValueError("libxsmm has no kernel for it")
            if number == 0:
                px, py = in_pieces(self.x), np.empty((pieces, self.outputs, 64), np.float32)
                found["libxsmm batch-reduce"] = (
                    lambda: checked(lib.xsmm_forward(*sizes(), pointer(layer.values), pointer(px), pointer(py))),
                    lambda: np.ascontiguousarray(py.transpose(0, 2, 1)).reshape(self.tokens, -1))
            else:
                pdy, dv = in_pieces(self.dy), np.empty(layer.count, np.float32)
                found["libxsmm batch-reduce"] = (
                    lambda: checked(lib.xsmm_weight_gradient(*sizes(), pointer(self.x), pointer(pdy), pointer(dv))),
                    lambda: dv)
        return found

    def batched(self, layer, number):
        """What a PyTorch user writes: bmm over groups (blockdiagonal, monarch), two mm (lowrank); the permutations are
        views, as cheap as PyTorch has them."""
        torch, t = self.peers["torch"], self.tokens
        v = torch.from_numpy(layer.values)
        family, size = layer.label.split("-")
        g, o, i = int(size), self.outputs, self.inputs
        source, kept = torch.from_numpy(self.x if number == 0 else self.dy), {}
        if family == "lowrank":
            a, b = v[:g * i].view(g, i), v[g * i:].view(o, g)
            call = (lambda: kept.update(y=(source @ a.t()) @ b.t())) if number == 0 else (
                lambda: kept.update(y=(source @ b) @ a))
            return {"torch mm": (call, lambda: kept["y"].numpy())}
        if family == "blockdiagonal":
            w = v.view(g, o // g, i // g)
            if number == 0:
                def call():
                    y = torch.bmm(source.view(t, i // g, g).permute(2, 0, 1), w.transpose(1, 2))
                    kept.update(y=y.permute(1, 0, 2).reshape(t, o))
            else:
                def call():
                    y = torch.bmm(source.view(t, g, o // g).transpose(0, 1), w)
                    kept.update(y=y.permute(1, 2, 0).reshape(t, i))
            return {"torch bmm": (call, lambda: kept["y"].numpy())}
        m = min(o, i)
        right, left = v[:m * (i // g)].view(g, m // g, i // g), v[m * (i // g):].view(g, o // g, m // g)
        if number == 0:
            def call():
                z = torch.bmm(source.view(t, g, i // g).transpose(0, 1), right.transpose(1, 2))
                z = z.transpose(0, 1).reshape(t, m // g, g).permute(2, 0, 1)
                kept.update(y=torch.bmm(z, left.transpose(1, 2)).transpose(0, 1).reshape(t, o))
        else:
            def call():
                z = torch.bmm(source.view(t, g, o // g).transpose(0, 1), left)
                z = z.permute(1, 2, 0).reshape(t, g, m // g).transpose(0, 1)
                kept.update(y=torch.bmm(z, right).transpose(0, 1).reshape(t, i))
        return {"torch bmm": (call, lambda: kept["y"].numpy())}


def layer_places(layer):
    """(output, input) of every value of a mask, in the order of the values; None for what is no mask."""
    block = re.fullmatch(r"bsr-(\d+)", layer.label)
    start, column = layer.pattern("rowStart"), layer.pattern("column")
    if layer.label == "dense":
        o, i = np.divmod(np.arange(layer.count), layer.inputs)
        return o, i
    if block:
        side = int(block.group(1))
        rows = np.repeat(np.arange(len(start) - 1), np.diff(start))
        inside = np.arange(side * side)
        return ((rows[:, None] * side + inside // side).reshape(-1), (column[:, None] * side + inside % side).reshape(-1))
    if len(start) and len(column) == layer.count:
        return np.repeat(np.arange(len(start) - 1), np.diff(start)), column
    return None
