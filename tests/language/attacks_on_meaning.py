"""Attacks on what looks names up, computes and builds."""

from __future__ import annotations

from random import Random

from tests.language.attack_kit import GATE, HEAD, ODD, WORDS, attack, fill, space


@attack
def spread(rng: Random, size: int) -> str:
    """Ops, choices and nets that stand for twice as much with each step."""
    step = rng.choice(
        [
            "{0} | {0}",
            "sum({0}, {0})",
            "{0} + {0}",
            "sum by g(image) {{ a: {0}; b: {0} }}",
            "{0}({0})",
            "{0} if 1 < 2 else {0}",
            "sum({0}, relu, {0}) | {0}",
        ]
    )
    depth = rng.choice([5, 20, 40, 98, max(2, size // 30)])
    ops = f"  op f0 = {rng.choice(['relu', 'conv(3)', 'f1', 'identity', 'batchnorm'])}\n" + "".join(
        f"  op f{at + 1} = {step.format(f'f{at}')}\n" for at in range(min(depth, max(2, size // 20)))
    )
    use = rng.choice([f"  output z = image | f{depth}\n", f"  node n {{ x = image | f{depth} }}\n  output z = x\n", ""])
    return space(GATE + ops + use)


@attack
def axes(rng: Random, size: int) -> str:
    """Grids that are huge, thin, empty or of very many axes."""
    ends = [
        rng.choice(["3", "100", "9999", "20000", "10^6", "2^53", "0 - 1", "1/2", "200"])
        for _ in range(rng.choice([1, 2, 3, 5, min(400, max(1, size // 40))]))
    ]
    lines = "".join(
        f"  axis a{at} = 0..{end}"
        + rng.choice(["\n", f" with stride{at} = 2^a{at}\n", f" with v{at} = sum(i for i in 0..a{at})\n"])
        for at, end in enumerate(ends)
    )
    at = ", ".join(f"a{number}" for number in range(len(ends)))
    where = rng.choice(
        [
            "",
            f" where a0 == {rng.randint(0, 99)}",
            " where a0 < 0",
            " where sum(i for i in 0..a0) > 3",
            f" where any(a0 == i for i in 0..{rng.choice([9, 4000])})",
        ]
    )
    back = ", ".join(
        rng.choice(["a{0}", "a{0} - 1", "a{0} + 1", "0", "a{0} * a{0}"]).format(number) for number in range(len(ends))
    )
    value = rng.choice(
        [
            "image",
            f"image if a0 == 0 else x[{back}]",
            f"image + x[{back}]",
            f"sum(x[{back}] for i in 0..a0)",
            f"image | conv(3, a0 + 1) | relu + x[{back}]",
        ]
    )
    out = rng.choice(
        [
            f"x[{', '.join('0' for _ in ends)}]",
            f"sum(x[{', '.join(['i', *('0' for _ in ends[1:])])}] for i in 0..{rng.choice([3, 900, 5000])})",
            "x[9]",
        ]
    )
    send = rng.choice(
        [
            "",
            "    send x by g(x) { "
            + "; ".join(f"k{number}: relu" for number in range(rng.choice([1, 3, 40, 500])))
            + " }\n",
        ]
    )
    return f"{HEAD}{lines}{GATE}  node at {at}{where} {{\n    x = {value}\n{send}  }}\n  output y = {out}\n}}\n"


@attack
def recursion(rng: Random, size: int) -> str:
    body = rng.choice(
        [
            "f[n - 1] + f[n - 2] if n > 1 else n",
            "f[n - 1] if n > 0 else 0",
            "f[n + 1]",
            "f[f[n - 1]] if n > 0 else 0",
            "sum(f[i] for i in 0..n - 1) if n > 0 else 1",
            "f[n / 2] + 1",
            "f[n]",
            "max(f[n - 1], f[n - 1]) if n > 0 else 1",
            "sum(sum(i * j for i in 0..n) for j in 0..n)",
            "any(any(any(i == j + k for i in 0..999) for j in 0..999) for k in 0..999)",
        ]
    )
    start = rng.choice([5, 100, 5000, 19_000, 30_000, 10**9])
    lets = fill(size, lambda at: f"  let v{at} = f[{start} - {at}]\n")
    return space(f"  let f[n] = {body}\n{lets}  output z = image | conv(1, {rng.choice(['v0', 'f[3]', '8'])})\n")


@attack
def imports(rng: Random, size: int) -> str:
    path = rng.choice(
        [
            lambda at: f"x{at}.route",
            lambda at: "../" * (at % 50) + "x.route",
            lambda at: f"./{'./' * (at % 400)}x.route",
            lambda at: "/dev/zero",
            lambda at: "a" * (at % 3000),
            lambda at: "../" * (size // 3),
            lambda at: rng.choice(ODD) + ".route",
            lambda at: "",
            lambda at: f"/proc/self/fd/{at}",
            lambda at: "hostile.route",
        ]
    )
    asked = rng.choice(["a", "a, b", "s", fill(min(size, 3000), lambda at: f"n{at}", ", ")])
    return fill(size, lambda at: f'from "{path(at)}" import {asked}\n') + rng.choice(["", space("")])


@attack
def nets(rng: Random, size: int) -> str:
    part = rng.choice(
        [
            "row k[0..2]",
            "row k[0..20000]",
            "row k[l]",
            "row k[0..10^9]",
            "row k[1] = 1/3",
            "walk x[0]: k, k",
            "walk x[0]: k^2",
            "walk x[0]: k^999999999",
            "edge x[0] -> x[1] -> x[2]",
            "everything",
            "with n0",
            "with n1, n2",
            "without n0",
            "without row k[l]",
            "row nope[1]",
            "row k",
            "walk x: k",
            "edge x[0] -> x[2]",
            "row " + ", ".join(["k[0..2]"] * 50),
        ]
    )
    grid = f"{HEAD}  axis l = 0..{rng.choice(['2', '300', '3000'])}\n{GATE}  node at l {{\n"
    grid += "    x = image | conv(1, 2) if l == 0 else k[l - 1]\n    send x by g(x) { k: relu }\n  }\n"
    grid += "  output y = k[2]\n}\n"
    name = rng.choice([lambda at: f"n{at}", lambda at: "n", lambda at: f"n{at % 9}"])
    chained = rng.choice(["{0}", "with n{1}, n{2}", "with n{1}; {0}"])
    body = lambda at: "\n  ".join(chained.format(part, at + 1, at + 2).split("; "))  # noqa: E731
    if rng.random() < 0.3:
        return grid + "net n in s {\n" + fill(size, lambda at: f"  {part}\n") + "}\n"
    return grid + fill(size, lambda at: f"net {name(at)} in {rng.choice(['s', 's', 't'])} {{\n  {body(at)}\n}}\n")


@attack
def choices(rng: Random, size: int) -> str:
    branches = fill(
        size,
        rng.choice(
            [
                lambda at: f"b{at}: relu",
                lambda at: "b: relu",
                lambda at: f"b{at}: conv(3) where {at} < 9",
                lambda at: f"b{at}: sum by g(image) {{ c: relu }}",
            ]
        ),
        "\n      ",
    )
    closed = rng.choice(
        [
            "",
            " closed = image",
            " closed b0 = x below 1e-4",
            " closed nothing",
            " closed " + fill(min(size, 9000), lambda at: f"b{at} = x", ", "),
        ]
    )
    read = rng.choice(["b0", "x", "b0 + b1", fill(min(size, 90_000), lambda at: f"b{at}", " + ")])
    send = f"    send x by g(x) {{\n      {branches}\n    }}{closed}\n"
    return f"{HEAD}{GATE}  node n {{\n    x = image | conv(1, 4)\n{send}  }}\n  output y = {read}\n}}\n"


@attack
def sizes(rng: Random, size: int) -> str:
    op = rng.choice(
        [
            "conv({})",
            "conv(3, {})",
            "conv(3, stride = {})",
            "maxpool({})",
            "resize(by = {})",
            "conv(3, groups = {})",
            "conv(1, dilation = {})",
            "conv(3, pad = {})",
            "scale({})",
            "groupnorm({})",
            "conv({}, channels * 2)",
            "ladder_decoder({})",
            "conv(1, channels / {})",
        ]
    )
    number = rng.choice(["0", "1", "3", "1/3", "2^40", "10^9", "-1", "4097", "1e-9", "yes", "[1]", "relu"])
    return space("  output z = image | " + fill(size, lambda at: op.format(number), " | ") + "\n")


@attack
def scatter(rng: Random, size: int) -> str:
    """Words of the language in no order at all."""
    signs = [
        *WORDS,
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
        "+",
        "-",
        "*",
        "/",
        "^",
        "=",
        "==",
        "..",
        "->",
        ",",
        ":",
        ";",
        "\n",
        "a",
        "x",
        "relu",
        "conv",
        "1",
        "0.5",
        "s",
        "sum",
        "#",
        '"',
    ]
    return rng.choice(["", HEAD, HEAD + "  node n {\n"]) + fill(size, lambda _: rng.choice(signs), " ")
