"""RS2: names that are unknown, declared twice, or mean something else."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry
from routespace.diagnostics.codes.texts import GATE, OUTPUT, space_of

ENTRIES = (
    Entry(
        "RS201",
        "unknown name",
        "Nothing of this name is declared: no parameter, axis, attribute or `let` where a number is needed, no\n"
        "input and no stream of a node where a stream is needed, no space a net could be in. Names inside an op or\n"
        "a gate are its parameters, and everything that the space declares. All places that read the name are\n"
        "reported together.",
        space_of("  output y = imag | relu\n"),
    ),
    Entry(
        "RS202",
        "name that has no value here",
        "The name is known but has a value only in some places: an axis at a node on it or under an index, an\n"
        "attribute where its axis has a value, `channels` in an op, `routes` in the body of a gate.",
        space_of("  let wide = 2 * channels\n  output y = image | conv(1, wide)\n"),
    ),
    Entry(
        "RS203",
        "unknown op",
        "Neither the space, the file, its imports and the prelude nor the registry know an op of this name. An op\n"
        "of your own in Python is registered with `routespace.op` before the file is loaded.",
        space_of("  output y = image | rleu\n"),
    ),
    Entry(
        "RS204",
        "name that is declared twice",
        "One name means one thing in a space, whatever it is: parameters, inputs, axes, their indices and\n"
        "attributes, lets, ops, gates and streams share their names. Within a node each stream is made once, and a\n"
        "file declares each space, net, op and gate once. Outputs have names of their own.",
        space_of("  op norm = batchnorm\n  op norm = groupnorm(8)\n" + OUTPUT),
    ),
    Entry(
        "RS205",
        "unknown axis",
        "A node, an input, an output or `share` stands on an axis that the space does not declare.",
        space_of("  axis layer = 0..2\n  node at layr {\n    x = image\n  }\n" + OUTPUT),
    ),
    Entry(
        "RS206",
        "unknown gate",
        "Behind `by`, and before `*`, stands a gate: the name of one made in this node (`r = soft(x)`), or a\n"
        "template of the space with the stream it reads, `soft(x)`.",
        space_of("  output y = sum by soft(image) {\n    a: image\n  }\n"),
    ),
    Entry(
        "RS207",
        "closed rule for a branch that is not there",
        "`closed NAME = STREAM` names one of the branches of its choice; `closed = STREAM` is a rule for all of\nthem.",
        space_of(
            GATE + "  node {\n    send image by g(image) {\n      keep: relu\n"
            "    } closed kept = image\n  }\n  output y = keep\n"
        ),
    ),
    Entry(
        "RS208",
        "unknown kind of choice",
        "A choice adds its branches (`sum by`), takes one of them (`one by`), mixes their weights (`mix by`), or\n"
        "sends them on (`send ... by`).",
        space_of(GATE + "  output y = summ by g(image) {\n    a: image\n  }\n"),
    ),
    Entry(
        "RS209",
        "unknown activation",
        "The activation of a gate is a registered one. One of your own in Python is registered with\n"
        "`routespace.activation` before the file is loaded.",
        space_of("  gate g per image {\n    body mean | conv(1, routes)\n    activation relutanh\n  }\n" + OUTPUT),
    ),
    Entry(
        "RS210",
        "parameter that the space does not have",
        "A value was given, from Python or on the command line, for something that is neither a parameter of the\n"
        "space nor a policy.",
        'load("segmentation.route", dept = 33)\n',
    ),
    Entry(
        "RS211",
        "value that a parameter cannot have",
        "A parameter takes values of the kind of its default: numbers, yes or no, ops, or lists. An op may be given\n"
        "where the default is a list, and a list where it is an op.",
        'load("segmentation.route", depth = "deep")\n',
    ),
    Entry(
        "RS212",
        "parameter without a value",
        "The parameter has no default, and no value was given from outside.",
        "space s(depth) {\n  input image: 3\n  output y = image | conv(1, depth)\n}\n",
    ),
    Entry(
        "RS213",
        "reserved name",
        "The language gives this name a meaning of its own, everywhere: `channels`, `routes`, `yes`, `no`,\n"
        "`nothing`, the kinds of choices, the merges, and `any`, `all`, `sum`, `min`, `max`. Choose another.",
        space_of("  let channels = 3\n" + OUTPUT),
    ),
    Entry(
        "RS214",
        "stream that stands on different axes",
        "Streams of this name are made by nodes on different axes, so an index cannot tell which one is meant.\n"
        "Inside its node such a stream can be read; elsewhere it needs a name of its own.",
        space_of(
            "  axis layer = 0..1\n  node a {\n    x = image | relu\n  }\n  node at layer {\n    x = image | tanh\n  }\n"
            "  output y = x[1]\n"
        ),
    ),
    Entry(
        "RS215",
        "unknown granularity of a gate",
        "A gate decides per image, position, region or token.",
        space_of("  gate g per picture {\n    body mean | conv(1, routes)\n    activation sigmoid\n  }\n" + OUTPUT),
    ),
    Entry(
        "RS216",
        "op that would change its meaning",
        "An op from beside the space (of its file, of an import, or of the prelude) names another op, and the space\n"
        "gives that name to something else. The op would silently become another one. Rename one of the two, or\n"
        "make the name a parameter of the op: `op block(norm = batchnorm) = ...`. The same holds of a space from\n"
        "another file, beside an op or a gate with the name of one that it was written for.",
        space_of("  op sep_conv(k) = conv(k) | relu\n  output y = image | sep_conv_3x3 | sep_conv(3)\n"),
    ),
)
