"""Bare spaces around one op or one activation of a space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from routespace.language.format import format_text
from routespace.space.registry import ACTIVATIONS, OPS, ByMode, OpEntry
from routespace.testing.cases import Case
from routespace.testing.oracle.sizes import leaf_paths, op_of


def bare(case: Case) -> Iterator[str]:
    """Texts of spaces that do nothing but use one op, or one activation, of the space of `case`; the smallest first."""
    graph = case.graph
    for gate in {(one.activation, one.activation_args): one for one in graph.gates}.values():
        used = f"{gate.activation}{_args(ACTIVATIONS[gate.activation].parameters, dict(gate.activation_args))}"
        for routes in dict.fromkeys((1, 2, len(gate.routes))):
            branches = "; ".join(f"r{k}: identity" for k in range(routes))
            node = f"x = image; send x by g(x) {{ {branches} }}" if routes > 1 else "r0 = g(image) * image"
            read = " + ".join(f"r{k}" for k in range(routes))
            yield format_text(_GATE.format(activation=used, node=node, read=read))
    leaves = [leaf for value in graph.values if (found := op_of(value)) for _, leaf in leaf_paths("", found[1])]
    for leaf in sorted(dict.fromkeys(leaves), key=lambda leaf: leaf.channels):
        entry = OPS[leaf.entry]
        if len(leaf.channels) == 1 and not entry.variadic:
            used = f"{leaf.entry}{_args(entry.parameters, dict(leaf.args))}"
            for channels in dict.fromkeys((1, 2, *leaf.channels)):
                yield format_text(_OP.format(channels=channels, op=used))
                if any(gate.granularity == "position" for gate in graph.gates):
                    yield format_text(_GATED_OP.format(channels=channels, op=used))
                    yield format_text(_GATED_OP.format(channels=channels, op=f"conv(3) | {used} | conv(3)"))


_GATE = """space s {{
  input image: 1
  gate g per image {{ body mean | conv(1, routes, bias); activation {activation} }}
  node n {{ {node} }}
  output y = {read}
}}
"""
_GATED_OP = """space s {{
  input image: {channels}
  gate g per position {{ body conv(3, routes, bias); activation relu_tanh }}
  output y = g(image) * (image | {op})
}}
"""
_OP = """space s {{
  input image: {channels}
  output y = image | {op}
}}
"""


def _args(parameters: tuple[Any, ...] | OpEntry, args: dict[str, Any]) -> str:
    """The arguments that are not the defaults, as they are written."""
    found = []
    for one in parameters if isinstance(parameters, tuple) else parameters.parameters:
        value = args.get(one.name)
        if value is None or value == one.default or isinstance(value, ByMode):
            continue
        found.append(f"{one.name} = {_value(value)}")
    return f"({', '.join(found)})" if found else ""


def _value(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
