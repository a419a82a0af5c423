"""Slips in what flows: closed rules, merges, batches, statistics, folding, memory, forms."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_D, _S, _X, _F = "runtime/dense.py", "runtime/sparse.py", "runtime/export.py", "runtime/fold.py"
_M, _W, _E = "runtime/merges.py", "runtime/rows.py", "emit.py"

STREAMS = (
    Mutant("identity forgotten on closed", _D, "value = select(shut, closed[0].value, value)", "value = value + 0.0"),
    Mutant(
        "identity forgotten where work is skipped",
        _S,
        "if self.passes and decision.closed:",
        "if self.passes and not decision.closed:",
    ),
    Mutant(
        "identity forgotten in export",
        _X,
        "            present = present | shut\n",
        "            present = present & ~shut\n",
    ),
    Mutant(
        "identity forgotten in nets",
        "graph/passes/fix.py",
        "None if value.closed is None else self.streams[value.closed]",
        "None",
    ),
    Mutant(
        "dense multiplies instead of selecting",
        _D,
        "value = select(both(opened, source.present), made, 0.0) * weight.to(made.dtype)",
        "value = made * weight.to(made.dtype)",
    ),
    Mutant(
        "shut routes deliver nothing",
        _D,
        "        if self.zeros[self.training]:\n            present = present | (decision.active & ~opened)\n",
        "",
    ),
    Mutant(
        "zeros of shut routes lost where work is skipped",
        _S,
        "            zeros = tuple(sorted(decision.running - takers))\n",
        "            zeros = tuple(sorted(takers - decision.running))\n",
    ),
    Mutant(
        "zeros of shut routes lost in export",
        _X,
        "present = mask | (decision.active & ~opened) if self.zeros else mask",
        "present = mask",
    ),
    Mutant(
        "`always` reached by something only",
        _D,
        "if present is None or self.always[self.training]:",
        "if present is None:",
    ),
    Mutant("nothing is zero in a maximum", _E, '0.0 if entry.neutral == "zero" else -math.inf', "0.0"),
    Mutant(
        "a maximum takes the minimum",
        _M,
        "found = torch.maximum(found, stream)",
        "found = torch.minimum(found, stream)",
    ),
    Mutant(
        "a sum writes into what it reads", _M, "found = streams[0] + streams[1]", "found = streams[0].add_(streams[1])"
    ),
    Mutant(
        "gain of later terms forgotten",
        _M,
        "found.add_(value, alpha=gain) if own else torch.add(found, value, alpha=gain)",
        "found.add_(value) if own else torch.add(found, value)",
    ),
    Mutant(
        "weights of routes forgotten where they travel",
        _S,
        "._replace(gain=gain, own=way.fresh)",
        "._replace(own=way.fresh)",
    ),
    Mutant(
        "sums write into what others read",
        _S,
        "._replace(gain=gain, own=way.fresh)",
        "._replace(gain=gain, own=True)",
    ),
    Mutant(
        "sums write into routes read twice", _E, "only.args.count(route.name) == 1", "only.args.count(route.name) >= 1"
    ),
    Mutant(
        "keep and up swapped",
        _E,
        "coupling(value.op), value.index, value.closed is not None",
        "coupling(value.op), max(0, 1 - value.index) if value.index < 2 and len(self.graph.routes_of[value.gate]) > 1 "
        "else value.index, value.closed is not None",
    ),
    Mutant(
        "shared zeros weighed by the first image",
        _S,
        "alike = piece.blank and len({decision.host[image][self.index] for image in images}) == 1",
        "alike = piece.blank",
    ),
    Mutant(
        "joined images told in another order",
        _W,
        "tuple(image for image, _ in rows))]",
        "tuple(image for image, _ in rows[::-1]))]",
    ),
    Mutant(
        "a run of rows starts at the first", _W, "return value[first : last + 1]", "return value[: last - first + 1]"
    ),
    Mutant(
        "images laid out sideways",
        _W,
        "    return images.contiguous(memory_format=torch.channels_last)\n",
        "    return images.transpose(2, 3).contiguous().view(images.shape)\n",
    ),
    Mutant(
        "norm statistics swapped",
        _D,
        '        if self.coupled == "active":\n            rows',
        '        if self.coupled == "all":\n            rows',
    ),
    Mutant(
        "closed images in no statistic where work is skipped",
        _S,
        'if wanted is None or active is None or (self.training and self.coupled == "all"):',
        "if wanted is None or active is None:",
    ),
    Mutant(
        "active norms count whoever an op runs for",
        "runtime/layers.py",
        'counted = _COUNTED.get() if self.stats == "active" else None',
        "counted = None",
    ),
    Mutant(
        "a norm of all reads active images only",
        _E,
        'if own == "all" or value.guard is None or (own is None and',
        "if own is not None or value.guard is None or (",
    ),
    Mutant("gates in batches of their own", _E, "coupled = coupling(value.body) is not None", "coupled = False"),
    Mutant(
        "mean folded with the wrong sign", _F, "shift = -norm.running_mean * scale", "shift = norm.running_mean * scale"
    ),
    Mutant("ε forgotten when folding", _F, "torch.rsqrt(norm.running_var + norm.eps)", "torch.rsqrt(norm.running_var)"),
    Mutant(
        "relu lost when folding",
        _F,
        "        y = F.conv2d(x, weight, bias, stride, padding, dilation, groups)\n        return F.relu_(y) if relu else y",
        "        y = F.conv2d(x, weight, bias, stride, padding, dilation, groups)\n        return y",
    ),
    Mutant("folded weights stay", "runtime/watch.py", "and state[0].unchanged(op):", "and state[0].op is op:"),
    Mutant(
        "a closed value is not guarded",
        "graph/passes/guard.py",
        "need(value.closed, {Atom(value.gate, None)})",
        "need(value.closed, {Atom(value.gate, value.index)})",
    ),
    Mutant(
        "gates behind gates always asked", "graph/passes/guard.py", "need(value.gate, mine)", "need(value.gate, None)"
    ),
    Mutant(
        "zeros kept out of maxima in nets",
        "graph/passes/fix.py",
        'if entry.neutral == "zero" and not entry.ordered:',
        "if not entry.ordered:",
    ),
    Mutant(
        "a single value normalised by itself", "runtime/layers.py", "* counts.shape[3] < 2:", "* counts.shape[3] < 1:"
    ),
    Mutant(
        "concat without a place for nothing",
        "space/standard.py",
        '"routespace.runtime.merges:concat", ordered=True',
        '"routespace.runtime.merges:concat", ordered=False',
    ),
    Mutant(
        "mask not grown by dilation",
        "runtime/positions/geometry.py",
        "reads = slice(tap * d, tap * d + s * (outputs - 1) + 1, s)",
        "reads = slice(tap, tap + s * (outputs - 1) + 1, s)",
    ),
    Mutant(
        "mask not grown",
        "runtime/positions/geometry.py",
        "for tap in range(k):",
        "for tap in range(k // 2, k // 2 + 1):",
    ),
    Mutant(
        "mask not grown by what resizing reads",
        "runtime/positions/geometry.py",
        "return found.view(length, wanted).t() != 0",
        "return found.view(length, wanted).t() > 0.5",
    ),
    Mutant(
        "unreached positions open",
        "runtime/maps.py",
        "override, recorded) & here",
        "override, recorded) & (here | True)",
    ),
    Mutant(
        "active statistics divided by all",
        "runtime/positions/norms.py",
        "power = values.square().sum(0).view(norm.num_groups, width).sum(1) / (len(rows) * width)",
        "power = values.square().sum(0).view(norm.num_groups, width).sum(1) / (len(rows) * width + 1)",
    ),
    Mutant(
        "a mean says how large a scale is",
        "space/standard.py",
        "return Shape(inputs[0].channels, 0, 1, 1)",
        "return Shape(inputs[0].channels, inputs[0].stride, 1, 1)",
    ),
    Mutant(
        "the least size is one more",
        "graph/sizes.py",
        "next(one for one in range(1, high + 1) if",
        "next(one for one in range(2, high + 1) if",
    ),
    Mutant("a window over nothing", "space/standard.py", "    if out < 1:\n", "    if out < 0:\n"),
    Mutant(
        "what zeros give is known for all sizes",
        "runtime/blanks.py",
        "key = (way, id(x), size, reduced)",
        "key = (way, id(x), reduced)",
    ),
)
