"""Text of random spaces with gates per position: layers over one image, or over the levels of a pyramid."""

from __future__ import annotations

from routespace.testing.dice import Dice
from routespace.testing.parts import ACTIVATIONS, BUDGETS, GRADIENTS, INITS, LIVES, STARTS, write_gate

ACTIVE = "groupnorm(2, stats = active)"
SPLIT = "groupnorm(2, stats = active in inference, stats = all in training)"
NORMS = (ACTIVE, "groupnorm(2)", SPLIT, "batchnorm", "batchnorm(stats = active)", "identity")

INNER = (
    "conv(3)",
    "conv(3) | norm | relu | conv(3) | norm",
    "conv(1) | norm | relu",
    "depthwise(3) | conv(1, bias) | norm",
    "conv(3, dilation = 2, bias) | silu",
    "depthwise(5, bias) | gelu | conv(1)",
    "(conv(3) | relu) + conv(1) | norm | conv(3)",
    "conv(1) | conv(3, dilation = 2) + conv(3) | norm",
    "max(conv(3), identity) | depthwise(3)",
    "concat(conv(1, channels / 2), avgpool(3) | conv(1, channels / 2)) | norm",
    "maxpool(3) | conv(3)",
    "conv(1) | avgpool(3) | conv(1, channels, groups = 2)",
    "conv(3, pad = 2) | norm | conv(3, pad = 0)",
    "conv(3) | norm | resize(by = 2) | conv(3, stride = 2)",
    "conv(1) | resize(by = 2) | conv(2, stride = 2, pad = 0) | norm",
    "resize(by = 2, corners) | avgpool(3, stride = 2)",
    "norm",
    "sigmoid | scale(1/2)",
)
"""Ops that keep the size of a map. None makes plateaus that another of them takes the maximum of: which of equal
positions gets its gradient is left to rounding."""

BODIES = (
    "conv(3, routes, bias)",
    "conv(1, routes, bias)",
    "conv(3, dilation = 2) | tanh | conv(3, routes, bias)",
    "depthwise(3) | batchnorm | relu | conv(1, routes, bias)",
    "conv(1, 4) | groupnorm(2) | conv(1, routes, bias)",
)

EQUATIONS = (
    ("h = x + (x | fine * inner)",),
    ("h = x | fine * inner + other | relu",),
    ("h = x + fine(x) * (x | inner)",),
    ("h = fine(x) * (x | inner)",),
    ("h = x | inner | fine * other | fine * inner",),
    ("h = x + (sum by fine(x) { a: x | inner; b: x | other; c: x })",),
    ("g = fine(x)", "m = x + g * (x | inner)", "h = m + g * (m | other)"),
    ("m = x | other", "h = x + fine(m) * (x | inner)"),
    ("h = max(x | fine * inner | scale(3/4), fine(x) * x)",),
    ("m = whole(x) * (x | other)", "h = x + fine(x) * (m | inner)"),
    ("m = whole(x) * (x | other)", "h = max(x, fine(x) * (m | inner))"),
    ("m = x + (x | fine * other)", "h = whole(x) * (m | inner) + x"),
    ("h = x + whole(x) * (x | inner)", "k = h"),
)
"""What layers make of `x`: gates per position inside pipes, beside streams, shared, and next to gates per image."""


def write_position_space(dice: Dice) -> str:
    """Text of a file with one space called `random` that has gates per position."""
    return write_levels(dice) if dice.chance(50) else write_layers(dice)


def write_layers(dice: Dice) -> str:
    """Layers over one image, with gates per position and per image inside them and between them."""
    depth, width, stride = dice.number(1, 2), dice.pick((4, 8)), dice.pick((8, 4, 16))
    sends = [
        ("keep", "send h by fine(h) { keep: other }"),
        ("pass", f"send h by whole(x) {{ pass: relu }}{dice.pick((' closed pass = x', '', ' closed pass = h'))}"),
        ("left", "send h by fine(x) { left: inner; right: other }"),
    ]
    chosen = [dice.pick(sends)] if dice.chance(60) else sends[: dice.number(2, 3)]
    arriving = [f"{name}[layer - 1]" for name, _ in chosen]
    if len(chosen) == 1 and chosen[0][0] == "left":
        arriving.append("right[layer - 1]")
    outputs = ["output y = " + " + ".join(one.replace("layer - 1", "depth") for one in arriving)]
    if dice.chance(30):
        chosen.append(("half", "send h by rough(h) { half: conv(3, stride = 2, bias) }"))
        outputs.append("output z = half[depth]")
    if dice.chance(20):
        outputs.append("output seen = h[depth] | mean | conv(1, 1)")
    equations = [f"x = image | stem if layer == 0 else {_merged(dice, arriving)}", *dice.pick(EQUATIONS)]
    statements = [
        f"input image: {dice.number(1, 3)}",
        "axis layer = 0..depth",
        f"op stem = conv(3, width, stride = {stride}) | relu",
        *_parts(dice),
        _node("layer", [*equations, *(text for _, text in chosen)]),
        *outputs,
        *_policies(dice, "macs"),
    ]
    return _file(statements, depth, width, _nets(dice, [name for name, _ in chosen][:1]))


def write_levels(dice: Dice) -> str:
    """Layers over the levels of a pyramid that read their neighbours, as detection heads do."""
    depth, width, count = dice.number(1, 2), dice.pick((4, 8)), dice.number(2, 3)
    labels = [f"p{place + 3}" for place in range(count)]
    resized = dice.pick(("resize(to = level, corners)", "resize(to = level)"))
    stride = dice.chance(30)
    sends = [
        "send x by fine(x) { coarser: other where layer < depth }",
        dice.pick(("send x by fine(x)", "send h by whole(h)", "send h by fine(x)"))
        + f" {{ finer: {dice.pick(('depthwise(3, bias) | norm', 'inner', 'identity'))} where layer < depth }}",
    ]
    if stride:
        sends[0] = "send x by rough(x) { coarser: conv(3, stride = 2, bias) where layer < depth }"
    near = [
        f"(coarser[layer - 1, level - 1]{'' if stride else f' | {resized}'})",
        f"(finer[layer - 1, level + 1] | {resized})",
    ]
    last = dice.pick(("x[layer - 1, level]", "h[layer - 1, level]"))
    merged = f"{' + '.join(near)} + {last}" if dice.chance(50) else f"max({', '.join([*near, last])})"
    statements = [
        "axis layer = 0..depth",
        f"axis level = {', '.join(labels)} with stride = {dice.pick((8, 16))} * 2^level",
        "input pyramid[level]: width",
        *_parts(dice),
        _node("layer, level", [f"x = pyramid if layer == 0 else {merged}", *dice.pick(EQUATIONS), *sends]),
        f"output features[level] = {dice.pick(('h', 'x'))}[depth, level]",
        *(["share across(level)"] if dice.chance(60) else []),
        *_policies(dice, dice.pick(("macs", "dynamic_head_code"))),
    ]
    return _file(statements, depth, width, [])


def write_map_gate(dice: Dice, name: str, stride: bool = False) -> str:
    """A gate per position called `name`; with a `stride` its map is half as large as what it reads."""
    body = "conv(3, routes, stride = 2, bias)" if stride else dice.pick(BODIES)
    lines = [f"body       {body}", f"activation {dice.pick(ACTIVATIONS)}"]
    lines += [clause for clause in (dice.pick(STARTS), dice.pick(GRADIENTS)) if clause]
    inside = "\n".join(f"    {line}" for line in lines)
    return f"gate {name} per position {{\n{inside}\n  }}"


def _parts(dice: Dice) -> list[str]:
    return [
        f"op norm  = {dice.pick(NORMS)}",
        f"op inner = {dice.pick(INNER)}",
        f"op other = {dice.pick(INNER)}",
        write_map_gate(dice, "fine"),
        write_map_gate(dice, "rough", stride=True),
        write_gate(dice, "whole"),
    ]


def _merged(dice: Dice, terms: list[str]) -> str:
    if len(terms) == 1:
        return terms[0]
    kind = dice.pick(("sum", "max", "concat"))
    return f"{kind}({', '.join(terms)}){' | conv(1, width)' if kind == 'concat' else ''}"


def _policies(dice: Dice, cost: str) -> list[str]:
    return [one for one in (dice.pick(LIVES), dice.pick(INITS), dice.pick(BUDGETS), f"cost {cost}") if one]


def _nets(dice: Dice, routes: list[str]) -> list[str]:
    if not dice.chance(40):
        return []
    rows = [f"  row {route}[layer]" for route in routes]
    return ["net thin in random {\n" + "\n".join(["  everything"] if dice.chance(50) else rows) + "\n}"]


def _node(axes: str, parts: list[str]) -> str:
    body = "\n".join(f"    {part}" for part in parts)
    return f"node at {axes} {{\n{body}\n  }}"


def _file(statements: list[str], depth: int, width: int, nets: list[str]) -> str:
    body = "\n".join(f"  {statement}" for statement in statements)
    return "\n\n".join([f"space random(depth = {depth}, width = {width}) {{\n{body}\n}}", *nets]) + "\n"
