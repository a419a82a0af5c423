"""How many ops a pipe has, and branches a choice."""

from __future__ import annotations

import pytest

import routespace as rs
from routespace.graph.ops import MOST_STAGES


def chained(count: int) -> str:
    return "space s {\n  input image: 3\n  output y = image" + " | relu" * count + "\n}"


def chosen(count: int) -> str:
    branches = "\n".join(f"    b{at}: relu" for at in range(count))
    gate = "gate g per image { body mean | conv(1, routes); activation relu_tanh }"
    node = f"node {{\n    send image by g(image) {{\n{branches}\n    }}\n  }}"
    return f"space s {{\n  input image: 3\n  {gate}\n  {node}\n  output y = b0\n}}"


@pytest.mark.parametrize(("made", "what"), [(chained, "a pipe of"), (chosen, "a choice of")])
def test_parts_are_counted(made: object, what: str) -> None:
    assert callable(made)
    rs.build(rs.loads(made(MOST_STAGES)))
    with pytest.raises(rs.RouteError, match=f"RS801.*{what} {MOST_STAGES + 1}"):
        rs.build(rs.loads(made(MOST_STAGES + 1)))
