"""RS5: places, reads and the graph they make."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry
from routespace.diagnostics.codes.texts import GATE, OUTPUT, space_of

ENTRIES = (
    Entry(
        "RS501",
        "index off an axis",
        "A place that is named is on its axis. (A read of a stream may fall off the rim: then it is nothing, and\n"
        "merges leave it out.)",
        space_of("  axis scale = s4, s8 with stride = 4 * 2^scale\n  output y = image | resize(to = s8 + 1)\n"),
    ),
    Entry(
        "RS502",
        "empty axis",
        "A range contains both its ends, so `0..0` has one index. One that ends before it begins has none.",
        space_of("  axis layer = 3..2\n" + OUTPUT),
    ),
    Entry(
        "RS503",
        "two nodes at one place",
        "Two node statements without a name stand at the same index of the same axes, or two nodes have one name.\n"
        "Divide the places with `where`, or name the nodes: `node head at layer { ... }`.",
        space_of(
            "  axis layer = 0..2\n  node at layer {\n    x = image | relu\n  }\n  node at layer where layer > 1 {\n"
            "    z = image | tanh\n  }\n  output y = x[0]\n"
        ),
    ),
    Entry(
        "RS504",
        "node that stands nowhere",
        "No index of its axes fits the condition of the node.",
        space_of("  axis layer = 0..2\n  node at layer where layer > 2 {\n    x = image\n  }\n" + OUTPUT),
    ),
    Entry(
        "RS505",
        "streams that read each other in a circle",
        "What a stream reads is computed before it. The message follows the circle; a node usually reads the layer\n"
        "before it, `keep[layer - 1, scale]`.",
        space_of("  node {\n    a = image + b\n    b = a | relu\n  }\n  output y = b\n"),
    ),
    Entry(
        "RS506",
        "node that nothing reaches",
        "All that the node reads falls off the grid or does not exist, so its gate has nothing to decide on.\n"
        "Restrict the `where` of the node, or add a route that leads there.",
        space_of(
            GATE + "  axis layer = 0..2\n  node at layer where layer > 0 {\n    x = keep[layer - 1]\n"
            "    send x by g(x) {\n      keep: relu\n    }\n  }\n  output y = keep[2]\n"
        ),
    ),
    Entry(
        "RS507",
        "output that reads nothing",
        "Nothing that the output reads exists: the index is off the grid, or the stream there is itself made of\n"
        "nothing.",
        space_of(
            "  axis layer = 0..2\n  node at layer {\n    x = image | relu\n  }\n"
            "  output y = x[layer] if no else x[5 - 2]\n"
        ),
    ),
    Entry(
        "RS508",
        "read that never falls on the grid",
        "A read may fall off the rim at some places, but this one does at all of them: probably an offset has the\n"
        "wrong sign, or belongs to another axis.",
        space_of("  axis layer = 0..2\n  node at layer {\n    x = image + x[layer - 5]\n  }\n  output y = x[2]\n"),
    ),
    Entry(
        "RS509",
        "space without an output",
        "What no output needs does not exist, so a space without one is empty: `output NAME = STREAM`.",
        "space s {\n  input image: 3\n}\n",
    ),
)
