"""Attacks on what reads texts: each goes for one thing that the lexer, the parser or its reports could choke on."""

from __future__ import annotations

from random import Random

from tests.language.attack_kit import GATE, ODD, TAIL, WORDS, attack, fill, space, times


@attack
def nesting(rng: Random, size: int) -> str:
    opener = rng.choice(
        ["(", "[", "{", "f(", "a[", "([", "sum(", "max(1, ", "op a = (", "- (", "not (", "x | (", "sum by g(x) { a: "]
    )
    count = max(1, size // len(opener) // 2)
    closer = "".join({"(": ")", "[": "]", "{": "}"}.get(sign, "") for sign in reversed(opener))
    closers = rng.choice([count, count - 1, count + 1, 0, count // 2])
    inner = rng.choice(["1", "relu", "", "image", "a b", "}"])
    return rng.choice([space, lambda text: text])(f"  let a = {opener * count}{inner}{closer * max(0, closers)}\n")


@attack
def chain(rng: Random, size: int) -> str:
    sign = rng.choice(
        [
            " - ",
            " + ",
            " * ",
            " / ",
            "^",
            " and ",
            " or ",
            " | ",
            " if a else ",
            " == ",
            " < ",
            " a ",
            ", ",
            ": ",
            " = ",
        ]
    )
    prefix = rng.choice(["", "not ", "-", "- not "])
    name = rng.choice(["1", "a", "relu", "conv(3)", "image", "[1]", "1/3"])
    start = rng.choice(["  let a = ", "  output z = ", "  op f = ", "  cost ", "  node where ", "  axis b = 0.."])
    return space(start + fill(size, lambda at: prefix * rng.choice([1, 1, at % 7]) + name, sign))


@attack
def literals(rng: Random, size: int) -> str:
    digit = rng.choice(["9", "0", "1"])
    number = rng.choice(
        [
            lambda n: digit * n,
            lambda n: f"0.{digit * n}",
            lambda n: f"1e{digit * min(n, 400)}",
            lambda n: f"1e-{digit * min(n, 400)}",
            lambda n: f"{digit * n}.{digit * n}",
            lambda n: f"{digit * min(n, 999)}e{n % 400}",
            lambda n: f"0x{digit * n}",
            lambda n: f"{digit * n}..{digit}",
        ]
    )
    length = rng.choice([1, 20, 300, 999, 1000, 1001, size])
    return space(fill(size, lambda at: f"  let a{at} = {number(min(length, size))}\n"))


@attack
def powers(rng: Random, size: int) -> str:
    """Numbers that grow, or fractions that become fine, with each definition."""
    step = rng.choice(
        [
            "{0} + {0}",
            "{0} * {0}",
            "{0} ^ 2",
            "{0} ^ {0}",
            "{0} / 3",
            "{0} + 1 / {1}",
            "max({0}, {0} * 2)",
            "-{0} - {0}",
            "[{0}, {0}]",
            "{0} if {0} == {0} else {0}",
            "sum({0}, {0}, {0})",
        ]
    )
    first = rng.choice(["2", "1/3", "0", "1e-300", "9007199254740992", "[1, 2]", "yes"])
    unit = lambda at: step.format(f"a{at}", at + 2)  # noqa: E731
    if rng.random() < 0.5:
        return (
            f"space s(a0 = {first}, "
            + fill(size, lambda at: f"a{at + 1} = {unit(at)}", ", ")
            + f") {{\n  input image: 3\n{TAIL}"
        )
    return space(f"  let a0 = {first}\n" + fill(size, lambda at: f"  let a{at + 1} = {unit(at)}\n"))


@attack
def wide(rng: Random, size: int) -> str:
    item = rng.choice(
        [
            lambda at: "1",
            lambda at: f"a{at}",
            lambda at: "relu",
            lambda at: f"{at}..{at + 1}",
            lambda at: "[1]",
            lambda at: "x[1, 2]",
            lambda at: f"k{at} = {at}",
        ]
    )
    frame = rng.choice(
        [
            "  let a = [{}]\n",
            "  op f({}) = relu\n",
            "  let a = max({})\n",
            "  output z = sum({})\n",
            "  output z = image | conv({})\n",
            "  axis b = {}\n",
            "  axis b = c, d with {}\n",
            "  let a[{}] = 1\n",
            "  node at {} {{ z = image }}\n",
            "  share across({})\n",
            "  share across(a) except {}\n",
            "  output z = y[{}]\n",
            "  input w[{}]: 3\n",
            "  node n at {} {{ z = image }}\n",
            "  let a = sum(i for i in [{}])\n",
        ]
    )
    return space(frame.format(fill(size, item, ", ")))


@attack
def signature(rng: Random, size: int) -> str:
    params = fill(
        size,
        rng.choice(
            [
                lambda at: f"p{at}",
                lambda at: f"p{at} = {at}",
                lambda at: "p",
                lambda at: f"p{at} = p{at + 1}",
                lambda at: f"p{at} = relu",
            ]
        ),
        ", ",
    )
    return f"space s({params}) {{\n  input image: 3\n{TAIL}"


@attack
def names(rng: Random, size: int) -> str:
    """Names that are long, or many and nearly alike, and ones that are nearly declared."""
    length = rng.choice([1, 10, 150, 200, 201, 5000, size])
    stem = rng.choice(["a", "aB_", "_", "conv", "x1"]) * length
    name = lambda at: f"{stem[: max(1, length - 5)]}{at}"  # noqa: E731
    declare = rng.choice(
        [
            "  let {0} = {1}\n",
            "  op {0} = {1} | relu\n",
            "  output {0} = {1}\n",
            "  axis {0} = {1}, b{0}\n",
            "  gate {0} per {1} {{ body {1} }}\n",
            "  node {0} {{ {1}_ = image | {0}_(3) }}\n",
        ]
    )
    shift = rng.choice([0, 1, 10**6])
    return space(fill(size, lambda at: declare.format(name(at), name(at + shift))))


@attack
def odd_characters(rng: Random, size: int) -> str:
    base = rng.choice(
        [
            "{}",
            "  let a{} = 1\n",
            "# {}\n",
            'from "{}.route" import a\n',
            "  output z = image{} | relu\n",
            "{0}{0}{0}",
            "  op f = {}relu\n",
        ]
    )
    return rng.choice([space, lambda text: text])(fill(size, lambda _: base.format(rng.choice(ODD))))


@attack
def unterminated(rng: Random, size: int) -> str:
    start = rng.choice(
        [
            'from "',
            '"',
            "'",
            "#",
            "space s {",
            "space s(",
            "op f = (",
            "gate g per image {",
            "let a = [",
            "space s { node {",
            "net n in s { row a[",
        ]
    )
    stuff = rng.choice([" ", "a", "a ", "1,", "\n", ";", "{", "(", "\r", '"', "x = image\n", "#\n", " |", "\t"])
    return start + times(size, stuff)


@attack
def duplicates(rng: Random, size: int) -> str:
    one = rng.choice(
        [
            "  let a = 1\n",
            "  op f = relu\n",
            "  axis l = 0..3\n",
            "  input image: 3\n",
            "  output y = image\n",
            GATE,
            "  node n { x = image }\n",
            "  node { x = image }\n",
            "  cost macs\n",
            "  live always\n",
            "  share across(l)\n",
            "  require single_path\n",
            "  node at l { x = image }\n",
            "  budget none\n",
            "  init normal\n",
            "  gate g per image { start 1; start 1; gradient open }\n",
        ]
    )
    top = rng.choice(
        [
            "",
            "",
            "op f = relu\n",
            "net n in s { everything }\n",
            "space s { input image: 3; output y = image }\n",
            'from "a.route" import f\n',
        ]
    )
    return times(size, top) if top else space(times(size, one))


@attack
def cascade(rng: Random, size: int) -> str:
    """One mistake again and again."""
    word = rng.choice(WORDS)
    one = rng.choice(
        [
            f"  let {word} = 1\n",
            f"  let a = {word} + 1\n",
            f"  node at {word} {{ x = {word}[{word} - 1] }}\n",
            "  let = \n",
            "  let a 1\n",
            "}\n",
            "{\n",
            ")\n",
            "  node n { x = }\n",
            "  output z = imag | rel\n",
            "  lett a = 1\n",
            "  output z = image | conv(3\n",
            "  send x by g { a: relu\n",
            "  axis l = 0.\n",
            f"{word}\n",
            "  op f = a b\n",
            "  output z = image | conv(0) | conv(0)\n",
            "  output z = w[1] + v\n",
        ]
    )
    return space(times(size, one))
