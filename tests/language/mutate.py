"""Texts that are nearly spaces: a seeded mutator of the examples, the prelude, the cases and random spaces."""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path

from routespace.testing.dice import SeededDice
from routespace.testing.spaces import write_space
from tests.language.tiny import TINY

ROOT = Path(__file__).parents[2]
TOKEN = re.compile(
    r"[A-Za-z_]\w*|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|#[^\n]*|\"[^\"\n]*\"|\.\.|[=!<>]=|\n|[ \t]+|.", re.DOTALL
)
_NUMBERS = """0 1 2 3 7 31 63 64 65 100 255 1000 4096 10000 20000 20001 65536 100000 1000000 1048576 1048577 2147483648
    9007199254740992 9007199254740993 123456789012345678901 1e300 1e-300 1e308 1e999 0.5 1.5 0.1 1e-4 0.0 00012 3.14159
    1/3 2^64 2^-64 (2^53) -1 -(3) 1/0 0/1 (1/3)^64"""
NUMBERS = [*_NUMBERS.split(), "9" * 400, "9" * 1200]
_WORDS = """space net input output axis let op gate node share across except per at with where send by closed below walk
    row from import for in if else and or not training inference nothing yes no channels routes sum max concat mean one
    mix any all min max relu conv identity resize depthwise batchnorm groupnorm ladder_decoder image layer scale keep up
    down x h stride to by bias pad groups dilation kernel body activation start relu_tanh softmax value live always
    by_node by_route init kaiming normal budget square ratio expected maximum cost macs sep_conv_3x3 mbconv"""
WORDS = _WORDS.split()
_SIGNS = "( ) [ ] { } , : ; = == != < <= > >= + - * / ^ | .. \" ' . # \\ @ $"
SIGNS = [*_SIGNS.split(), "\n", "  "]
CHARS = [
    "\0",
    "\r\n",
    "\r",
    "\t",
    "\f",
    "\ufeff",
    "é",
    "中",
    "\u202e",
    "\ud800",
    "🙂",
    "\x7f",
    "\xa0",
    "\u2028",
    "…",
    "−",
]


@cache
def corpus() -> tuple[str, ...]:
    """The texts that everything is made from."""
    folders = ("examples", "examples/drafts", "routespace/language", "tests/cases/errors", "tests/cases/format")
    files = [path for folder in folders for path in sorted((ROOT / folder).glob("*.route"))]
    written = [write_space(SeededDice(seed)) for seed in range(40)]
    return (TINY, *(path.read_text("utf-8") for path in files), *written)


def mutant(seed: int, index: int) -> str:
    """The text with number `index` of a seed."""
    rng = random.Random(seed * 1_000_003 + index)
    text = rng.choice(corpus())
    if rng.random() < 0.02:
        return _noise(rng)
    mutations, times = (_GENTLE, (1, 1, 1, 1, 2, 2, 3, 5)) if rng.random() < 0.7 else (_ROUGH, (1, 1, 2, 3, 6, 10))
    for _ in range(rng.choice(times)):
        text = rng.choice(mutations)(rng, text)
        if len(text) > 60_000:
            text = text[:60_000]
    return text


def _noise(rng: random.Random) -> str:
    words = [*WORDS, *SIGNS, *NUMBERS, *CHARS]
    return rng.choice(("", " ", "\n")).join(rng.choice(words) for _ in range(rng.choice((0, 1, 5, 50, 500))))


def _tokens(text: str) -> list[str]:
    return TOKEN.findall(text)


def _pick(rng: random.Random, tokens: list[str], wanted: str) -> int | None:
    places = [at for at, token in enumerate(tokens) if re.match(wanted, token)]
    return rng.choice(places) if places else None


def _replace(wanted: str, *choices: str | None) -> object:
    def mutate(rng: random.Random, text: str) -> str:
        tokens = _tokens(text)
        at = _pick(rng, tokens, wanted)
        if at is not None:
            names = [token for token in tokens if re.match(r"[A-Za-z_]", token)] or ["x"]
            chosen = rng.choice(choices) if choices else None
            tokens[at] = rng.choice(names) if chosen is None else chosen
        return "".join(tokens)

    return mutate


def _delete(rng: random.Random, text: str) -> str:
    tokens = _tokens(text)
    if tokens:
        at = rng.randrange(len(tokens))
        del tokens[at : at + rng.choice((1, 1, 2, 5))]
    return "".join(tokens)


def _double(rng: random.Random, text: str) -> str:
    tokens = _tokens(text)
    if tokens:
        at = rng.randrange(len(tokens))
        end = at + rng.choice((1, 1, 3, 10))
        tokens[at:at] = tokens[at:end] * rng.choice((1, 1, 2, 30))
    return "".join(tokens)


def _swap(rng: random.Random, text: str) -> str:
    tokens = _tokens(text)
    if len(tokens) > 1:
        a, b = rng.randrange(len(tokens)), rng.randrange(len(tokens))
        tokens[a], tokens[b] = tokens[b], tokens[a]
    return "".join(tokens)


def _insert(rng: random.Random, text: str) -> str:
    tokens = _tokens(text)
    tokens.insert(rng.randrange(len(tokens) + 1), rng.choice([*WORDS, *SIGNS, *NUMBERS, *CHARS]))
    return "".join(tokens)


def _lines(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(rng.randrange(len(lines) + 1), lines[at])
        case 2:
            lines.insert(rng.randrange(len(lines) + 1), lines.pop(at))
        case 3:
            lines[at:at] = [lines[at]] * rng.choice((2, 20, 300))
        case 4:
            other = rng.choice(corpus()).split("\n")
            lines.insert(at, rng.choice(other))
    return "\n".join(lines)


def _truncate(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return rng.choice((text[:at], text[at:]))


def _splice(rng: random.Random, text: str) -> str:
    other = rng.choice(corpus())
    return text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other) + 1) :]


_BRACKETS = [
    *(("(", ")"), ("[", "]"), ("sum(", ")"), ("block(", ")"), ("x[", "]"), ("any(", " for i in 0..4000)")),
    *(("sum(", " for i in 0..3)"), ("not ", ""), ("-", ""), ("2^", ""), ("1/", ""), ("1 if yes else ", "")),
    *(("relu | ", ""), ("", " | relu"), ("", " + 1"), ("", " - 1"), ("", " and yes"), ("", " + x")),
]


def _wrap(rng: random.Random, text: str) -> str:
    tokens = _tokens(text)
    at = _pick(rng, tokens, r"\w")
    if at is not None:
        times = rng.choice((1, 3, 30, 60, 99, 101, 2000))
        left, right = rng.choice(_BRACKETS)
        tokens[at] = left * times + tokens[at] + right * times
    return "".join(tokens)


def _chain(rng: random.Random, text: str) -> str:
    """Declarations that lead through each other, in a line, in a circle, or doubling."""
    size = rng.choice((2, 5, 30, 45, 200, 600))
    kind = rng.choice(("op", "op", "let", "let", "param", "attribute"))
    step = rng.choice(
        ("{}", "{} + 1", "{0} | {0}", "{0} + {0}", "relu | {}", "2 * {0}", "{0} * {0}", "{0}^2", "1 / {0}")
    )
    names = [f"c{n}" for n in range(size)]
    last = rng.choice(("relu", "1", "2", names[0], "1e-300", "conv(1)", "width"))
    values = [step.format(name) for name in names[1:]] + [last]
    if kind == "param":
        made = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
        text = re.sub(r"\(", f"({made}, ", text, count=1)
    elif kind == "attribute":
        made = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
        text = re.sub(
            r"(?m)^( *axis [^#\n]*)", lambda m: f"{m[1]}{', ' if ' with ' in m[1] else ' with '}{made}", text, count=1
        )
    else:
        made = "\n".join(f"{kind} {name} = {value}" for name, value in zip(names, values, strict=True))
        text = re.sub(r"(?m)^( *input .*)$", lambda m: f"{m[1]}\n{made}", text, count=1)
    return _replace(r"[A-Za-z_\d]", names[0])(rng, text)  # type: ignore[operator,no-any-return]


def _grow(rng: random.Random, text: str) -> str:
    """A range made long."""
    ends = [match.end() for match in re.finditer(r"\.\.\s*", text)]
    if ends:
        at = rng.choice(ends)
        text = text[:at] + rng.choice((*NUMBERS, "10", "40", "999", "5000", "9999")) + " # " + text[at:]
    return text


def _statement(rng: random.Random, text: str) -> str:
    """A line of the same text, once more or somewhere else, or gone."""
    lines = text.split("\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    if rng.random() < 0.4:
        lines[at] = lines[to]
    elif rng.random() < 0.5:
        lines[at], lines[to] = lines[to], lines[at]
    else:
        del lines[at]
    return "\n".join(lines)


_SMALL = (
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "8",
    "16",
    "1/2",
    "1/3",
    "-1",
    "64",
    "100",
    "channels",
    "width",
    "layer",
    "scale",
)
_OPS = (
    "relu",
    "identity",
    "mean",
    "conv(3)",
    "conv(1, 2 * channels)",
    "conv(3, stride = 2)",
    "resize(by = 2)",
    "batchnorm",
)
_OPS += (
    "resize(to = scale)",
    "maxpool(3, stride = 2)",
    "depthwise(5, pad = 0)",
    "groupnorm(4)",
    "sep_conv_3x3",
    "image",
)
_GENTLE = [
    _replace(r"\d", *_SMALL),
    _replace(r"\d", *_SMALL),
    _replace(r"\d", *NUMBERS),
    _replace(r"[A-Za-z_]"),
    _replace(r"[A-Za-z_]"),
    _replace(r"[A-Za-z_]", *_OPS),
    _replace(r"[A-Za-z_]", *_SMALL),
    _replace(
        r"(?:==|<=|>=|<|>|\+|-|\*|/|\||\^)", "==", "!=", "<", "<=", ">", "+", "-", "*", "/", "|", "^", "and", "or"
    ),
    _replace(r"(?:relu|conv|batchnorm|norm|mean|identity|resize)$", *_OPS),
    _statement,
    _wrap,
    _chain,
    _grow,
]
_ROUGH = [
    _replace(r"\d", *NUMBERS),
    _replace(r"\d", *NUMBERS),
    _replace(r"[A-Za-z_]"),
    _replace(r"[A-Za-z_]"),
    _replace(r"[A-Za-z_]", *WORDS),
    _replace(r"\W", *SIGNS),
    _replace(r"[A-Za-z_]", "n" * 5000, "_", "é", "__proto__", "x1"),
    _delete,
    _delete,
    _double,
    _swap,
    _insert,
    _lines,
    _lines,
    _truncate,
    _splice,
    _wrap,
    _chain,
    _grow,
]
