"""RS7: nets of a space."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry

_SPACE = (
    "space s {\n  input image: 3\n  axis layer = 0..2\n  gate g per image {\n    body mean | conv(1, routes)\n"
    "    activation sigmoid\n  }\n  node at layer {\n    x = image if layer == 0 else keep[layer - 1]\n"
    "    send x by g(x) {\n      keep: relu\n    }\n  }\n  output y = keep[2]\n}\n\n"
)

ENTRIES = (
    Entry(
        "RS701",
        "net that the space does not have",
        "A net is declared beside its space, `net NAME in SPACE { ... }`, or imported.",
        'compile(space, form = "fixed", net = "u_net")\n',
    ),
    Entry(
        "RS702",
        "route that is not there",
        "The space sends no route of this name, or the node at this place has none: routes that nobody reads, like\n"
        "those off the rim of a grid, do not exist.",
        _SPACE + "net n in s {\n  walk x[0]: keep, up\n}\n",
    ),
    Entry(
        "RS703",
        "net that leaves the grid",
        "A walk or a row goes to a place where no node is, or on behind the output, or the range of a row is empty.",
        _SPACE + "net n in s {\n  walk x[0]: keep^4\n}\n",
    ),
    Entry(
        "RS704",
        "weight that a route cannot be held at",
        "Weights are numbers that are not negative; 0 holds a route closed.",
        'compile(space, form = "fixed", net = {"layer0": {"keep": -1}})\n',
    ),
)
