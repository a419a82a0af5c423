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
    Entry(
        "RS708",
        "requirement that asks nothing of open routes",
        "A requirement is a condition: on routes that are open, on nodes that are used, on how many of them,\n"
        "or one of the words `single_path` and `symmetric`.",
        _SPACE.replace("  output", "  require sum(keep[l] for l in layer) <= sum(x[l] for l in layer)\n  output"),
    ),
    Entry(
        "RS709",
        "question that takes too long to answer exactly",
        "Routes are read one after the other, and what is required of neighbouring layers, of mirrored ones and of\n"
        "counts leaves little to remember. A requirement that ties far layers together can leave more than there is\n"
        "room for, and a narrow window of costs more ways than can be tried; nothing is guessed then.",
        "routespace find space.route --flops 53.9001..53.9002G --params 6.1001..6.1002M\n",
    ),
    Entry(
        "RS710",
        "space without a net",
        "The requirements that are shown exclude each other, or one excludes every path; without any one of them\n"
        "there is a net.",
        _SPACE.replace("  output", "  require keep[0]\n  require not keep[1]\n  output"),
    ),
    Entry(
        "RS711",
        "net that the space does not contain",
        "Every open route of a net lies on a path of open routes from an input to an output, and nets satisfy what\n"
        "their space requires.",
        _SPACE.replace("  output", "  require keep[0]\n  output") + "net n in s {\n  row keep[1..2]\n}\n",
    ),
    Entry(
        "RS712",
        "cost that does not follow from open routes",
        "What a net costs is added up from its open routes. That is not enough where a closed node passes on what it\n"
        "has, or where work that no gate guards runs on the zeros of closed routes.",
        "routespace find space.route --flops 1..2G\n",
    ),
    Entry(
        "RS713",
        "space that graphs cannot be embedded in",
        "A graph is embedded as nodes and the routes between them. That says all of a net only where nodes are joined\n"
        "to each other and to outputs by routes, each of which leads to one place, and where no node has branches\n"
        "inside.",
        "routespace contains examples/dynamic_head.route --graph u_net.json\n",
    ),
    Entry(
        "RS714",
        "graph that cannot be read as a network",
        "A network has nodes, each with a stride above 0, and edges from node to node that lead in no circle. Every\n"
        "node lies on a way from an input to an output.",
        'routespace contains space.route --graph net.json  # {"nodes": {"a": 4}, "edges": [["a", "b"]]}\n',
    ),
    Entry(
        "RS715",
        "profile that tells nothing",
        "A profile says for how many images each route was open: `images` and `opened`, counts by node and route that\n"
        "are not above the number of images. It is of at least one image.",
        "routespace extract space.route profile.json\n",
    ),
)
