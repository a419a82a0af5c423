"""The tables of docs/language.md, made from the registries and the limits in the code.

`python -m tests.docs.tables` writes them into the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from routespace.diagnostics.catalogue import CATALOGUE
from routespace.graph import build, draft, expand, places, shapes
from routespace.graph import ops as graph_ops
from routespace.language import imports, parser, texts, tokens
from routespace.language.prelude import prelude
from routespace.space import arithmetic, definitions, numbers, scope
from routespace.space.conventions import CONVENTIONS, Convention
from routespace.space.expr import OpDecl
from routespace.space.names import legal
from routespace.space.registry import ACTIVATIONS, MERGES, OPS, Parameter
from routespace.space.shape import Cost

PAGE = Path(__file__).parent.parent.parent / "docs" / "language.md"

OP_TO_WORDS = {
    "identity": "passes its input on",
    "scale": "times a constant",
    "learned": "times a number that is learned, `start` at first; also written `learned(v) * stream`",
    "conv": "convolution; without `channels` the width stays; without `pad` the size stays at stride 1",
    "depthwise": "convolution of each channel by itself",
    "batchnorm": "batch normalisation; `stats` says which images count in training: `all` that reach it, or the "
    "`active` ones that its gate lets in; with fewer than two values running statistics are used",
    "groupnorm": "normalisation per image over groups of channels; `stats` says over which positions behind a gate per "
    "position: `all`, or the `active` ones that are computed; it may be split by mode",
    "relu": "max(0, x)",
    "gelu": "x · Φ(x)",
    "silu": "x · σ(x)",
    "sigmoid": "1 / (1 + e^-x)",
    "tanh": "tanh(x)",
    "mean": "mean over all positions: one position, which has no stride",
    "maxpool": "maximum of each window; padding never wins",
    "avgpool": "mean of each window; padding does not count",
    "resize": "bilinear, to the size that streams of a scale have, or by a factor; `corners` aligns the corners",
    "ladder_decoder": "reads streams from the finest to the coarsest, each half as large and twice as wide as the one "
    "before; from the coarsest: (add,) 1x1 conv, norm, relu, resize; then a 3x3 conv to `classes`, at the size of the "
    "image",
}
ACTIVATION_TO_WORDS = {
    "relu_tanh": "max(0, tanh v); open where v > 0",
    "geretanh": "max(0, (tanh(v − τ) + tanh τ) / (1 + tanh τ)) with τ = `tau`; open where v > 0",
    "sigmoid": "σ(v)",
    "softmax": "softmax(v / `temperature`) over the routes",
    "argmax": "1 for the first largest logit; gradient of softmax",
    "threshold": "1 where σ(v) > `at`; gradient of σ",
}
MERGE_TO_WORDS = {
    "sum": "adds; also written `a + b`",
    "max": "largest value, position by position",
    "concat": "stacks channels in the order written",
}
SUPPORT_TO_WORDS = {"any": "any set", "one": "exactly one", "all": "always all"}
LIMITS = (
    ("characters of a text", parser.MAX_LENGTH, "RS107"),
    ("words, numbers, signs, ends of lines and blanks of a text", parser.MAX_PIECES, "RS107"),
    ("characters of a name", legal.MAX_NAME, "RS114"),
    ("brackets open at once", tokens.MAX_NESTING, "RS105"),
    ("operations deep in an expression (`+` and `|` count once, however many parts)", legal.MAX_DEPTH, "RS106"),
    ("digits of a number", tokens.MAX_DIGITS, "RS108"),
    ("size of a computed number, either side of 0", arithmetic.LARGEST, "RS804"),
    ("indices of an axis", scope.MOST_INDICES, "RS801"),
    ("candidate places of one node statement", places.MOST_TRIED, "RS801"),
    ("nodes of a space", places.MOST_NODES, "RS801"),
    ("expressions in all nodes of a space", draft.MOST_READ, "RS801"),
    ("ops of a pipe, and branches of a choice", graph_ops.MOST_STAGES, "RS801"),
    ("levels of an input", build.MOST_LEVELS, "RS801"),
    ("members of one output", expand.MOST_MEMBERS, "RS801"),
    ("indices of itself that a `let` reads", definitions.MOST_OPEN, "RS802"),
    ("values of all indexed numbers", definitions.MOST_KNOWN, "RS806"),
    ("values of a `for`", numbers.MOST_STEPS, "RS803"),
    ("steps in all numbers of a space", numbers.MOST_WORK, "RS806"),
    ("ops inside each other", graph_ops.DEEPEST, "RS805"),
    ("parts of all ops of a space", graph_ops.MOST_PARTS, "RS807"),
    ("channels of a stream", shapes.MOST_CHANNELS, "RS808"),
    ("positions of a stream on a side, for an image of 192x256", shapes.LARGEST_SIDE, "RS808"),
    ("stride of a stream, or its inverse", shapes.LARGEST_STRIDE, "RS808"),
    ("imports in a row", imports.MOST_OPEN, "RS157"),
    ("files read for one space", imports.MOST_FILES, "RS157"),
    ("different paths of imports", imports.MOST_PATHS, "RS157"),
    ("characters of all imported texts", imports.MOST_TEXT, "RS157"),
    ("characters of the path of an import", imports.MOST_PATH, "RS151"),
    ("bytes of a file", texts.LARGEST_FILE, "RS151"),
)


def ops() -> Iterable[str]:
    yield from _rows(
        ("op", "what it does"),
        ((f"`{signature(name, entry.parameters, entry.variadic)}`", OP_TO_WORDS[name]) for name, entry in _items(OPS)),
    )


def activations() -> Iterable[str]:
    yield from _rows(
        ("activation", "weight of logit v", "routes it opens", "closes", "`start value(a)`"),
        (
            (
                f"`{signature(name, entry.parameters)}`",
                ACTIVATION_TO_WORDS[name],
                SUPPORT_TO_WORDS[entry.support],
                "yes" if entry.closes else "never",
                "yes" if entry.inverse else "no",
            )
            for name, entry in _items(ACTIVATIONS)
        ),
    )


def merges() -> Iterable[str]:
    yield from _rows(
        ("merge", "what it does", "a stream that is nothing"),
        (
            (f"`{name}(…)`", MERGE_TO_WORDS[name], _neutral(entry.neutral, entry.ordered))
            for name, entry in _items(MERGES)
        ),
    )


def _neutral(neutral: str, ordered: bool) -> str:
    if ordered:
        return "zeros of its width"
    return "left out" if neutral == "minus_infinity" else "adds nothing"


def conventions() -> Iterable[str]:
    yield from _rows(
        ("", *(f"`{name}`" for name in CONVENTIONS)),
        [(title, *(_cell(one, name) for _, one in _items(CONVENTIONS))) for title, name in _COLUMNS],
    )


_COLUMNS = (
    ("source", "source"),
    ("unit", "unit"),
    ("a multiply-add counts", Cost(macs=1)),
    ("an element of a norm", Cost(norm=1)),
    ("an element of an activation", Cost(activation=1)),
    ("a window element of a pool", Cost(pool=1)),
    ("an element of a resize", Cost(resize=1)),
    ("gates", "gates"),
    ("gates of unreached nodes, in the hard cost", "every_gate"),
    ("gates, in the expected cost", "gates_in_expected"),
    ("work outside nodes, in the expected cost", "fixed_in_expected"),
    ("the cell of an entry node", "entry_cell"),
    ("the gate of an entry node", "entry_gate"),
    ("routes that only outputs read", "routes_to_outputs"),
    ("sizes in the stem as if windows were padded to keep them", "padded"),
    ("outputs priced as wide as they are high", "square_outputs"),
    ("a weight is open above", "open_above"),
)


def _cell(one: Convention, shown: str | Cost) -> str:
    value = one.count(shown) if isinstance(shown, Cost) else getattr(one, shown)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:g}"


def cells() -> Iterable[str]:
    from routespace.language.format import format_expr

    yield from _rows(
        ("cell", "is"),
        (
            (f"`{item.name}{_params(item)}`", f"`{format_expr(item.value)}`")
            for item in prelude().items
            if isinstance(item, OpDecl)
        ),
    )


def _params(item: OpDecl) -> str:
    from routespace.language.format import format_expr

    shown = [one.name if one.default is None else f"{one.name} = {format_expr(one.default)}" for one in item.params]
    return f"({', '.join(shown)})" if shown else ""


def limits() -> Iterable[str]:
    yield from _rows(
        ("limit", "at most", "beyond it"), ((what, f"{most:,}".replace(",", " "), code) for what, most, code in LIMITS)
    )


def codes() -> Iterable[str]:
    yield from _rows(("code", "finding"), ((code, entry.title) for code, entry in CATALOGUE.items()))


def signature(name: str, parameters: tuple[Parameter, ...], variadic: bool = False) -> str:
    """A registered name with its arguments and their defaults."""
    shown = ["stream, …"] if variadic else []
    for one in parameters:
        if one.required or one.kind == "flag":
            shown.append(one.name)
        elif one.kind == "word":
            shown.append(f"{one.name} = {one.default}")
        else:
            shown.append(f"{one.name} = {'…' if one.default is None else f'{one.default:g}'}")
    return f"{name}({', '.join(shown)})" if shown else name


def _items(registry: object) -> list[tuple[str, object]]:
    return [(name, registry[name]) for name in registry]  # type: ignore[attr-defined, index]


def _rows(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterable[str]:
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(one.replace('|', chr(92) + '|') for one in row)} |"


TABLES = {table.__name__: table for table in (ops, activations, merges, conventions, cells, limits, codes)}
PLACE = re.compile(r"(?<=<!-- table: )(?P<name>\w+)(?P<head> -->\n)(?P<body>.*?)(?=<!-- /table -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """`text` with every table of it made anew."""
    return PLACE.sub(lambda m: f"{m['name']}{m['head']}" + "\n".join(TABLES[m["name"]]()) + "\n", text)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
