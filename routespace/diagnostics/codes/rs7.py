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
        "A net is declared beside its space, `net NAME in SPACE { ... }`, or imported, and so are the nets that it is\n"
        "made of.",
        _SPACE + "net n in s {\n  with u_net\n}\n",
    ),
    Entry(
        "RS702",
        "route that is not there",
        "The space sends no route of this name, or the node at this place has none: routes that nobody reads, like\n"
        "those off the rim of a grid, do not exist. An edge needs a route from its one node to the other.",
        _SPACE + "net n in s {\n  walk x[0]: keep, up\n}\n",
    ),
    Entry(
        "RS703",
        "net that leaves the grid",
        "A walk, a row or an edge goes to a place where no node is, a walk goes on behind the output, or the range of\n"
        "a row is empty.",
        _SPACE + "net n in s {\n  walk x[0]: keep^4\n}\n",
    ),
    Entry(
        "RS704",
        "weight that a route cannot be held at",
        "Weights are numbers that are not negative, and in a text above 0: `without` closes a route there.\n"
        "Given from Python, 0 does.",
        _SPACE + "net n in s {\n  row keep[0] = 0\n}\n",
    ),
    Entry(
        "RS705",
        "route that is held at two weights",
        "A net gives a route one weight. One that is given wins over the 1 that goes without saying; a second one\n"
        "that differs contradicts it.",
        _SPACE + "net n in s {\n  row keep[0..1] = 0.5\n  row keep[1] = 0.25\n}\n",
    ),
    Entry(
        "RS706",
        "net that is made of itself",
        "What a net takes in or leaves out may not lead back to it.",
        _SPACE + "net n in s {\n  with m\n}\n\nnet m in s {\n  without n\n}\n",
    ),
    Entry(
        "RS707",
        "edge that could be several routes",
        "An edge opens the one route that leads from a node to another one. Where there are several, a row names them.",
        _SPACE.replace("keep: relu", "keep: relu; wide: conv(3)").replace("else keep", "else wide[layer - 1] + keep")
        + "net n in s {\n  edge x[0] -> x[1]\n}\n",
    ),
)
