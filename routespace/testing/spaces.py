"""Text of random spaces. Everything written here is meant to compile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from routespace.testing.dice import Dice
from routespace.testing.parts import ACTIVATIONS, CELLS, NORMS, write_block, write_gate, write_policies
from routespace.testing.position_spaces import write_position_space

Place = tuple[int, int]


def write_space(dice: Dice) -> str:
    """Text of a file with one space called `random`, and sometimes a net in it called `thin`."""
    if dice.chance(40):
        return write_position_space(dice)
    if dice.chance(25):
        return write_exits(dice) if dice.chance(25) else write_stack(dice)
    return write_grid(dice)


def assemble(name: str, params: str, statements: list[str], nets: list[str]) -> str:
    """A file of one space and its nets."""
    body = "\n".join(f"  {statement}" for statement in statements)
    return "\n\n".join([f"space {name}({params}) {{\n{body}\n}}", *nets]) + "\n"


def write_stack(dice: Dice) -> str:
    """Layers one after the other, with gates inside them: blocks that are skipped, or chosen among."""
    depth, width = dice.number(1, 3), dice.pick((4, 8))
    block = [] if dice.chance(10) else write_block(dice, "x", "y")
    equations = ["x = image | stem if layer == 0 else y[layer - 1]", *(block or ["y = x | cell"])]
    head = dice.pick(("mean | conv(1, classes, bias)", "conv(1, classes)", "norm | relu | conv(3, classes, bias)"))
    statements = [
        f"input image: {dice.number(1, 3)}",
        "axis layer = 0..depth",
        f"op norm  = {dice.pick(NORMS)}",
        f"op cell  = {dice.pick(CELLS)}",
        f"op other = {dice.pick(CELLS)}",
        f"op stem  = {dice.pick(_STEMS)} | conv(3, width, stride = {dice.pick((8, 4))}) | norm",
        *([write_gate(dice, "block")] if block else []),
        _node("layer", "", equations),
        *_halves(dice),
        f"output y = y[depth] | {head}",
        *write_policies(dice),
    ]
    return assemble("random", f"depth = {depth}, width = {width}, classes = {dice.number(1, 3)}", statements, [])


def _halves(dice: Dice) -> list[str]:
    """Sometimes a scale that what ends in a mean is the first to come to, and a stream that is resized to it."""
    if not dice.chance(40):
        return []
    return [
        f"axis far = half with stride = {dice.pick((16, 8, 12))}",
        f"output brief = y[depth] | {dice.pick(('conv(3, 4, stride = 2)', 'maxpool(2, stride = 2, pad = 0)'))} | mean",
        f"output wide = {dice.pick(('y[0]', 'y[depth] | mean'))} | resize(to = half) | conv(3, 2)",
    ]


def write_exits(dice: Dice) -> str:
    """Stages that halve the map, each with an answer that an image may leave with."""
    depth, width = dice.number(1, 3), dice.pick((4, 8))
    halves = ("conv(3, stride = 2)", "conv(2, stride = 2, pad = 0) | norm", "maxpool(3, stride = 2)")
    body = f"{dice.pick(('', 'relu | '))}conv(1, routes, bias)"
    equations = [
        "y = image | stem if stage == 0 else y[stage - 1] | half | relu",
        "value = y | mean | conv(1, classes, bias)",
        "answer = value if stage == depth else sum by on(value) { go: answer[stage + 1] } closed = value",
    ]
    statements = [
        f"input image: {dice.number(1, 3)}",
        "axis stage = 0..depth",
        f"op norm = {dice.pick(NORMS)}",
        f"op stem = conv(3, width, stride = {dice.pick((4, 2))}) | norm",
        f"op half = {dice.pick(halves)}",
        f"gate on per image {{ body {body}; activation {dice.pick(ACTIVATIONS)} }}",
        _node("stage", "", equations),
        "output answer = answer[0]",
        *write_policies(dice),
    ]
    return assemble("random", f"depth = {depth}, width = {width}, classes = {dice.number(1, 3)}", statements, [])


def write_grid(dice: Dice) -> str:
    """Layers and scales with routes between them, one gate per node, sometimes further gates inside the nodes."""
    return _Grid(dice).write()


_UNPADDED = "conv(3, 4, stride = 2, pad = 0) | norm | relu"
_STEMS = ("identity", "conv(3, 4, bias) | relu", _UNPADDED)


def _node(axes: str, where: str, parts: list[str]) -> str:
    body = "\n".join(f"    {part}" for part in parts)
    return f"node at {axes}{where} {{\n{body}\n  }}"


@dataclass
class _Shape:
    """Where the nodes of a grid stand: the condition as written, and as a predicate."""

    where: str
    stands: Callable[[int, int], bool]
    entries: str


class _Grid:
    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.depth, self.scales = dice.number(1, 3), dice.number(1, 3)
        self.width = dice.pick((4, 8))
        self.doubles = not dice.chance(30)
        self.base = dice.pick((8, 16, 4))
        self.labels = [f"s{self.base * 2**k}" for k in range(self.scales)]
        self.shape = self._shape()
        self.places = {p for p in product(range(self.depth + 1), range(self.scales)) if self.shape.stands(*p)}
        self.last = sorted(scale for layer, scale in self.places if layer == self.depth)

    def _shape(self) -> _Shape:
        depth, scales = self.depth, self.scales
        shapes = [
            _Shape(" where scale <= layer", lambda layer, scale: scale <= layer, "layer == 0"),
            _Shape("", lambda layer, scale: True, "layer == 0"),
            _Shape(
                " where scale <= layer and scale <= depth - layer",
                lambda layer, scale: scale <= min(layer, depth - layer),
                "layer == 0",
            ),
        ]
        if scales >= 2 and depth >= 2:
            hole = (self.dice.number(1, depth - 1), self.dice.number(0, scales - 1))
            shapes.append(
                _Shape(
                    f" where scale <= layer and not (layer == {hole[0]} and scale == {hole[1]})",
                    lambda layer, scale: scale <= layer and (layer, scale) != hole,
                    "layer == 0",
                )
            )
        chosen = self.dice.pick(shapes)
        grid = [p for p in product(range(depth + 1), range(scales)) if chosen.stands(*p)]
        arrives = all(
            layer == 0
            or any(chosen.stands(layer - 1, near) for near in (scale - 1, scale, scale + 1) if 0 <= near < scales)
            for layer, scale in grid
        )
        return chosen if arrives else shapes[0]

    def _hits(self, layers: int, scales: int) -> bool:
        """Whether some node reads a node that far away."""
        return any((layer - layers, scale + scales) in self.places for layer, scale in self.places if layer > 0)

    def write(self) -> str:
        dice = self.dice
        inner = dice.chance(30)
        equations = [f"x = image | stem if {self.shape.entries} else {self._arriving()}"]
        equations += write_block(dice, "x", "y") if inner else []
        source = "y" if inner else "x"
        equations.append(f"h = {source} | {self._cell()}")
        equations.append(self._send(gate_reads=dice.pick(("x", "x", "x", "h", source))))
        wide = "width * 2^scale" if self.doubles else "width"
        stem = "conv(3, wide, stride = stride)" if not self.shape.where else f"conv(3, width, stride = {self.base})"
        if self.shape.where and dice.chance(40):
            stem = dice.pick(
                (f"conv(3, 4, bias) | relu | {stem}", f"{_UNPADDED} | conv(3, width, stride = {self.base // 2})")
            )
        statements = [
            f"input image: {dice.number(1, 3)}",
            "axis layer = 0..depth",
            f"axis scale = {', '.join(self.labels)} with stride = {self.base} * 2^scale, wide = {wide}",
            f"op norm  = {dice.pick(NORMS)}",
            f"op sent  = {dice.pick(NORMS)}",
            f"op cell  = {dice.pick(CELLS)}",
            f"op other = {dice.pick(CELLS)}",
            f"op stem  = {stem}{dice.pick(('', ' | norm', ' | norm | relu'))}",
            write_gate(dice, "soft"),
            *([write_gate(dice, "block")] if inner else []),
            _node("layer, scale", self.shape.where, equations),
            *self._outputs(),
            *write_policies(dice, ("macs",) if inner or not self.shape.where else ("macs", "dynamic_routing_code")),
        ]
        params = f"depth = {self.depth}, width = {self.width}, classes = {dice.number(1, 3)}"
        return assemble("random", params, statements, [] if inner else self._nets())

    def _arriving(self) -> str:
        terms = [
            f"{route}[layer - {back}, scale{f' {sign} 1' if sign else ''}]"
            for route, back, sign in (("keep", 1, ""), ("up", 1, "+"), ("down", 1, "-"))
            if self._hits(back, {"": 0, "+": 1, "-": -1}[sign])
        ]
        if self._hits(2, 0) and self.dice.chance(20):
            terms.append("keep[layer - 2, scale]")
        if len(terms) == 1:
            return terms[0]
        kind = self.dice.pick(("sum", "sum", "max", "concat"))
        if kind == "sum":
            return " + ".join(terms)
        merged = f"{kind}({', '.join(terms)})"
        return f"{merged} | conv(1, wide)" if kind == "concat" else merged

    def _cell(self) -> str:
        return self.dice.pick(
            ("cell", "cell + identity", "sum(cell, other)", "cell | relu", "resize(to = scale) | cell")
        )

    def _send(self, gate_reads: str) -> str:
        dice = self.dice
        less, more = ("channels / 2", "2 * channels") if self.doubles else ("channels", "channels")
        branches = [f"keep: {dice.pick(('relu', 'identity', 'conv(1) | sent | relu'))}"]
        if self._hits(1, 1):
            up = (
                f"relu | conv(1, {less}) | sent | relu | resize(to = scale - 1)",
                f"resize(to = scale - 1, corners) | conv(1, {less})",
                f"conv(3, {less}) | sent | resize(to = scale - 1)",
            )
            branches.append(f"up:   {dice.pick(up)}")
        if self._hits(1, -1):
            down = (
                f"relu | conv(1, {more}, stride = 2) | sent | relu",
                f"conv(3, {more}, stride = 2) | sent",
                f"maxpool(3, stride = 2) | conv(1, {more})",
            )
            branches.append(f"down: {dice.pick(down)}")
        if len(branches) > 1 and dice.chance(20):
            branches.append(branches.pop(0))
        inside = "\n".join(f"      {branch}" for branch in branches)
        rules = (
            "closed keep = x",
            "closed keep = x below 1e-4",
            "",
            "closed keep = x below 0.7",
            "closed nothing below 0.5",
        )
        return f"send h by soft({gate_reads}) {{\n{inside}\n    }} {dice.pick(rules)}".rstrip()

    def _outputs(self) -> list[str]:
        dice, first = self.dice, self.last[0]
        finest = f"keep[depth, {self.labels[first]}]"
        options = [f"output y = {finest} | mean | conv(1, classes, bias)"]
        if self.doubles and self.last == list(range(len(self.last))):
            options.insert(0, "output y = ladder_decoder(keep[depth, scale], classes)")
        if len(self.last) > 1:
            second = self.labels[self.last[1]]
            coarse = f"keep[depth, {second}] | conv(1, {'width' if not self.doubles else f'width * {2**first}'})"
            fused = f"{finest}, {coarse} | resize(to = {self.labels[first]})"
            options += [f"output y = {kind}({fused}) | conv(1, classes)" for kind in ("sum", "concat", "max")]
        if len(self.last) == self.scales:
            options.append("output y[scale] = keep[depth, scale]")
        outputs = [dice.pick(options)]
        if dice.chance(20):
            layer, scale = dice.pick(sorted(self.places))
            outputs.append(f"output aux = keep[{layer}, {self.labels[scale]}] | mean | conv(1, 1)")
        return outputs

    def _nets(self) -> list[str]:
        """One net of one or two walks that end where an output reads."""
        if not self.dice.chance(60):
            return []
        walks = [self._walk() for _ in range(self.dice.number(1, 2))]
        return ["net thin in random {\n" + "\n".join(f"  walk {walk}" for walk in dict.fromkeys(walks)) + "\n}"]

    def _walk(self) -> str:
        """A path back from the first scale of the last layer, where every output reads."""
        scale = self.last[0]
        steps = ["keep"]
        for layer in range(self.depth, 0, -1):
            moves = [("keep", 0), ("up", 1), ("down", -1)]
            route, shift = self.dice.pick([move for move in moves if (layer - 1, scale + move[1]) in self.places])
            steps.insert(0, route)
            scale += shift
        return f"x[0, {self.labels[scale]}]: {', '.join(steps)}"
