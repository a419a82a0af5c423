"""Parts that random spaces are put together from: norms, cells, gates, policies."""

from __future__ import annotations

from routespace.testing.dice import Dice

NORMS = (
    "batchnorm",
    "identity",
    "groupnorm(2)",
    "groupnorm(1)",
    "batchnorm(stats = active)",
    "batchnorm | relu | batchnorm(stats = active)",
)
CELLS = (
    "conv(1)",
    "conv(3) | norm | relu",
    "conv(3) | batchnorm(stats = active) | relu",
    "depthwise(3) | conv(1) | norm",
    "sep_conv(3, norm)",
    "dil_conv(3, norm)",
    "mbconv(3, norm)",
    "conv(1, channels / 2) | norm | relu | conv(3, channels) | norm",
    "heavy_conv(3, norm)",
    "maxpool(3)",
    "avgpool(3)",
    "conv(3, dilation = 2, bias) | gelu",
    "conv(1, groups = 2) | tanh",
    "depthwise(5, bias) | silu",
    "conv(3) | norm | (relu + sigmoid)",
    "max(conv(1), identity)",
    "concat(conv(1, channels / 2), maxpool(3) | conv(1, channels / 2))",
    "sum(maxpool(3), avgpool(3), conv(1))",
)
ACTIVATIONS = (
    "relu_tanh",
    "relu_tanh",
    "geretanh(1.5)",
    "geretanh(0.4)",
    "threshold(0.5)",
    "threshold(0.3)",
    "argmax",
    "sigmoid",
    "softmax",
    "softmax(2)",
)
STARTS = ("", "start bias(1.5)", "start bias(-0.5)")
GRADIENTS = ("", "", "gradient all", "gradient open")
LIVES = ("", "live by_route", "live by_node", "live always", "live by_node in inference\n  live always in training")
INITS = ("", "init kaiming", "init normal(0.1)")
BUDGETS = (
    "",
    "budget square(expected / maximum, 0.3, weight = 0.5, start = 0.2, ramp = 0.1)",
    "budget hinge(expected / maximum, 0.5)",
    "budget ratio(expected / maximum, weight = 0.1)",
)


def write_gate(dice: Dice, name: str) -> str:
    """A gate template called `name`; its body fits any stream of an even number of channels."""
    body = dice.pick(
        (
            "mean | conv(1, routes, bias)",
            "conv(1, channels / 2) | norm | relu | mean | conv(1, routes, bias)",
            "resize(by = 1/4) | conv(1) | norm | relu | mean | conv(1, routes, bias)",
            "conv(3, channels / 2, stride = 2) | tanh | mean | conv(1, 4) | relu | conv(1, routes, bias)",
            "maxpool(3, stride = 2) | conv(1, routes, bias) | mean",
        )
    )
    lines = [f"body       {body}", f"activation {dice.pick(ACTIVATIONS)}"]
    lines += [clause for clause in (dice.pick(STARTS), dice.pick(GRADIENTS)) if clause]
    inside = "\n".join(f"    {line}" for line in lines)
    return f"gate {name} per image {{\n{inside}\n  }}"


def write_policies(dice: Dice, conventions: tuple[str, ...] = ("macs",)) -> list[str]:
    """Policy clauses, some of them left to their defaults."""
    chosen = [dice.pick(LIVES), dice.pick(INITS), dice.pick(BUDGETS), f"cost {dice.pick(conventions)}"]
    return [clause for clause in chosen if clause]


def write_block(dice: Dice, source: str, result: str) -> list[str]:
    """Equations that make the stream `result` of the stream `source`, with gates called `block`."""
    kind = dice.pick(("residual", "choice", "pair", "shared", "nested", "late", "hollow"))
    match kind:
        case "residual":
            return [f"{result} = {source} + block({source}) * ({source} | cell)"]
        case "choice":
            return [_choice(dice, source, result)]
        case "pair":
            return [f"{result} = block({source}) * ({source} | cell) + {source} + block({source}) * ({source} | other)"]
        case "shared":
            return [
                f"g = block({source})",
                f"m = {source} + g * ({source} | cell)",
                f"{result} = m + g * (m | other)",
            ]
        case "nested":
            return [
                f"m = {source} + block({source}) * ({source} | cell)",
                f"{result} = {source} + block({source}) * (m | other)",
            ]
        case "late":
            return [f"m = {source} | other", f"{result} = {source} + block(m) * (m | cell)"]
    return [f"{result} = block({source}) * ({source} | cell)"]


def _choice(dice: Dice, source: str, result: str) -> str:
    branches = [f"a: {source} | cell", f"b: {source} | other"]
    if dice.chance(40):
        branches.append(f"c: {source}")
    inside = "\n".join(f"      {branch}" for branch in branches)
    closed = dice.pick(("", f" closed = {source}", f" closed a = {source} below 0.3", " closed nothing below 0.2"))
    chosen = f"sum by block({source}) {{\n{inside}\n    }}{closed}"
    return f"{result} = {source} + ({chosen})" if dice.chance(30) else f"{result} = {chosen}"
