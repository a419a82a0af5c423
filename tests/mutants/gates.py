"""Slips in gates: thresholds, gradients, margins, who is reached, and what activations declare."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_A, _D, _S, _R = "runtime/activations.py", "runtime/dense.py", "runtime/sparse.py", "space/standard.py"
_G = "runtime/sparse_gates.py"
_L = "runtime/leaves.py"

GATES = (
    Mutant(
        "threshold moved",
        _A,
        "return F.relu(torch.tanh(logits)), ~(logits <= 0)",
        "return F.relu(torch.tanh(logits)), ~(logits <= 0.05)",
    ),
    Mutant(
        "NaN closes silently",
        _A,
        "return F.relu(torch.tanh(logits)), ~(logits <= 0)",
        "return F.relu(torch.tanh(logits)), logits > 0",
    ),
    Mutant("shift not normalised", _A, "+ self.shift) / (1 + self.shift))", "+ self.shift))"),
    Mutant(
        "underflow closes a sigmoid",
        _A,
        "return torch.sigmoid(logits), torch.ones_like(logits, dtype=torch.bool)",
        "return torch.sigmoid(logits), torch.sigmoid(logits) > 1e-6",
    ),
    Mutant("temperature upside down", _A, "logits / self.temperature", "logits * self.temperature"),
    Mutant("argmax without its gradient", _A, "return hard + (soft - soft.detach()), open_", "return hard, open_"),
    Mutant(
        "straight-through gradient detached",
        _A,
        "return open_.to(soft) + (soft - soft.detach()), open_",
        "return open_.to(soft), open_",
    ),
    Mutant(
        "margin twice as large",
        _A,
        "return (logits - math.log(at / (1 - at))).abs() if",
        "return 2 * (logits - math.log(at / (1 - at))).abs() if",
    ),
    Mutant(
        "argmax margin to the mean",
        _A,
        "return (best[:, :1] - best[:, 1:]).expand_as(logits)",
        "return (best[:, :1] - logits.mean(1, keepdim=True)).expand_as(logits)",
    ),
    Mutant(
        "unreached gates decide",
        _D,
        "override, recorded) & reached[:, None]",
        "override, recorded) & (reached | True)[:, None]",
    ),
    Mutant(
        "sum below ε taken for the largest",
        _L,
        "torch.where(opened, weights, 0.0).sum(1, keepdim=True) < self.below",
        "torch.where(opened, weights, 0.0).amax(1, keepdim=True) < self.below",
    ),
    Mutant(
        "shut weights keep their value",
        "runtime/leaves.py",
        "return torch.where(opened, weights, shut)",
        "return weights",
    ),
    Mutant(
        "gates see the batch",
        _D,
        "logits = run(self.body, values, frame.sizes, self.targets).flatten(1)",
        "logits = run(self.body, values - 1e-3 * values.mean(0), frame.sizes, self.targets).flatten(1)",
    ),
    Mutant("ε ignored where work is skipped", _G, "self.settled(weights, opened, override, beside) &", "opened &"),
    Mutant(
        "a live replay opens what is open now",
        _L,
        "return held if recorded is None else",
        "return opened if recorded is None else",
    ),
    Mutant(
        "a live replay opens what it recorded of nobody",
        _L,
        "return held if recorded is None else torch.where(recorded.view(-1, *[1] * (held.dim() - 1)), held, opened)",
        "return held",
    ),
    Mutant(
        "live weights are those recorded",
        "runtime/control.py",
        'asked = weights == "live" and',
        'asked = weights == "none" and',
    ),
    Mutant(
        "what was forced is let go of",
        "runtime/control.py",
        "not routing.forced.issuperset(names)",
        "not routing.forced.issuperset([*names, None])",
    ),
    Mutant(
        "closed images are lost", _G, "closed = frozenset(images) - running", "closed = frozenset(images) & running"
    ),
    Mutant(
        "forced weights charged as run",
        "runtime/meter.py",
        "(decision.reached if decision.consulted else torch.zeros_like(decision.reached))[:, None]",
        "decision.reached[:, None]",
    ),
    Mutant(
        "a replay rounds its weights",
        "runtime/control.py",
        "weights[node][route].detach(), 0.0)",
        "weights[node][route].detach().round(), 0.0)",
    ),
    Mutant(
        "unreached recorded as shut",
        "runtime/report.py",
        "masked_fill(missing, torch.nan)",
        "masked_fill(missing, 0.0)",
    ),
    Mutant(
        "sigmoid declared to close",
        _R,
        'f"{_GATES}:sigmoid", (0.0, 1.0), closes=False',
        'f"{_GATES}:sigmoid", (0.0, 1.0), closes=True',
    ),
    Mutant(
        "argmax declared to open any",
        _R,
        'closes=True, support="one", straight_through=True',
        'closes=True, support="all", straight_through=True',
    ),
    Mutant(
        "threshold declared smooth", _R, "        closes=True,\n        straight_through=True,", "        closes=True,"
    ),
    Mutant("start solved for another τ", _R, "math.exp(2 * tau)) / (1 - value))", "math.exp(tau)) / (1 - value))"),
    Mutant(
        "range declared too small",
        _R,
        '        f"{_GATES}:relu_tanh",\n        (0.0, 1.0),',
        '        f"{_GATES}:relu_tanh",\n        (0.0, 0.5),',
    ),
    Mutant(
        "shut routes teach nothing",
        "emit.py",
        'teaches = value.gradient == "all"',
        'teaches = value.gradient == "everything"',
    ),
    Mutant(
        "shut routes teach the wrong way",
        "runtime/surrogate.py",
        "torch.where(where, product.sum_to_size(where.shape), 0.0)",
        "torch.where(where, -product.sum_to_size(where.shape), 0.0)",
    ),
    Mutant(
        "open routes teach twice",
        "runtime/dense.py",
        "where = both(decision.taught & ~opened, source.present)",
        "where = both(decision.taught, source.present)",
    ),
    Mutant(
        "what is nothing passes no gradient on",
        _S,
        "return self.added(frame, streams).taught([one for rows in streams for one in rows.shut])",
        "return self.added(frame, streams)",
    ),
    Mutant(
        "gates in shut branches are recorded",
        "runtime/report.py",
        "    if counted is None:\n        return decision\n",
        "    if counted is None or True:\n        return decision\n",
    ),
    Mutant(
        "shut images count in active norms",
        _S,
        "tuple(self.pieces(frame, source.among(reached), takers & decision.recorded))",
        "tuple(self.pieces(frame, source.among(reached), takers | beside))",
    ),
)
