"""Slips in costs: the meter, the ledger, the rules of ops, conventions."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_M, _L, _R, _C = "runtime/meter.py", "graph/ledger.py", "space/standard.py", "space/conventions.py"
_B = "graph/bounds.py"
_COUNTS = "tests/graph/test_published_counts.py"

COSTS = (
    Mutant(
        "route cost charged twice",
        _L,
        '    elif row.part == "route":\n',
        '    elif row.part == "route":\n        hard = expected = 2 * full\n',
    ),
    Mutant(
        "a node costs the sum of its routes' weights",
        _M,
        "spread = table[:, self.columns].amax(-1)",
        "spread = table[:, self.columns].sum(-1)",
    ),
    Mutant(
        "closed nodes cost as open ones",
        _M,
        "closed = [(decision.reached & ~decision.active)[:, None]",
        "closed = [(decision.reached | decision.active)[:, None]",
    ),
    Mutant(
        "expected cost detached",
        _M,
        "weights[:, chosen] @ prices.expected[chosen]",
        "weights[:, chosen].detach() @ prices.expected[chosen]",
    ),
    Mutant(
        "hard cost by weights",
        _M,
        "charged[:, chosen] @ prices.hard[chosen]",
        "weights[:, chosen] @ prices.hard[chosen]",
    ),
    Mutant(
        "shared zeros counted for every image",
        "runtime/sparse.py",
        "        if made:\n            frame.log(self.unit, piece.images[:1])\n        return Piece(value, piece.images, True)",
        "        frame.log(self.unit, piece.images)\n        return Piece(value, piece.images, True)",
    ),
    Mutant(
        "maps told as needed though run whole",
        _M,
        "spread(exact, whole=True)",
        "spread(exact)",
    ),
    Mutant(
        "cost of maps not grown",
        "runtime/growth.py",
        "return F.max_pool2d(padded, kernel, 1, 0, dilation)[:, 0]",
        "return F.max_pool2d(padded, kernel, 1, 0, dilation)[:, 0] * (weights.mean() > 2)",
    ),
    Mutant(
        "groups forgotten",
        _R,
        'return Cost(macs=args["kernel"] ** 2 * (inputs[0].channels // groups) * output.elements)',
        'return Cost(macs=args["kernel"] ** 2 * inputs[0].channels * output.elements)',
    ),
    Mutant(
        "one side of a depthwise kernel",
        _R,
        'def _depthwise_cost(args: Args, inputs: tuple[Shape, ...], output: Shape) -> Cost:\n    return Cost(macs=args["kernel"] ** 2',
        'def _depthwise_cost(args: Args, inputs: tuple[Shape, ...], output: Shape) -> Cost:\n    return Cost(macs=args["kernel"]',
    ),
    Mutant(
        "pools priced per output",
        _R,
        'return Cost(pool=args["kernel"] ** 2 * output.elements)',
        "return Cost(pool=output.elements)",
    ),
    Mutant("the decoder's prediction forgotten", _R, "Cost(macs=9 * finest.channels", "Cost(macs=0 * finest.channels"),
    Mutant(
        "norms priced as activations",
        _R,
        '        _elements("norm"),  # type: ignore[arg-type]\n        f"{_LAYERS}:batchnorm"',
        '        _elements("activation"),  # type: ignore[arg-type]\n        f"{_LAYERS}:batchnorm"',
    ),
    Mutant("parameters of a bias forgotten", _R, '* out + out * args["bias"])', "* out)"),
    Mutant(
        "windows off by one",
        _R,
        "out = (size + 2 * pad - reach) // stride + 1",
        "out = (size + 2 * pad - reach + 1) // stride + 1",
    ),
    Mutant(
        "windows without dilation",
        _R,
        '        _conv_cost,\n        f"{_LAYERS}:conv",\n        window=_window,',
        '        _conv_cost,\n        f"{_LAYERS}:conv",\n        window=lambda args: (*_window(args)[:2], 1, _window(args)[3]),',
    ),
    Mutant("small maps rounded up", _R, "max(1, math.floor(x.height * by))", "max(1, math.ceil(x.height * by))"),
    Mutant(
        "the maximum leaves routes out",
        _B,
        "    total = sum(charged[row.name] for row in rows)\n",
        '    total = sum(charged[row.name] for row in rows if row.part != "route")\n',
    ),
    Mutant(
        "the minimum keeps everything open",
        _B,
        "    always = not gate.below and _number(gate) == len(gate.routes)\n",
        "    always = True\n",
    ),
    Mutant(
        "the minimum takes the dearest of several",
        _B,
        "hard, runs_of))[: undecided[gate.name]])",
        "hard, runs_of), reverse=True)[: undecided[gate.name]])",
    ),
    Mutant(
        "relus counted twice by the released code",
        _C,
        "2 * cost.norm + cost.activation",
        "2 * cost.norm + 2 * cost.activation",
        _COUNTS,
    ),
    Mutant("the decoder slip mended", _C, "    square_outputs=True,\n", "", _COUNTS),
    Mutant(
        "the table counts gates",
        _C,
        "    routes_to_outputs=False,\n    gates=False,",
        "    routes_to_outputs=False,",
        _COUNTS,
    ),
    Mutant(
        "the entry cell charged",
        _C,
        "    entry_cell=False,\n    entry_gate=False,",
        "    entry_gate=False,",
        _COUNTS,
    ),
)
