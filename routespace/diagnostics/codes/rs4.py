"""RS4: shapes that do not fit."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry
from routespace.diagnostics.codes.texts import CHOICE, GATE, MAP_GATE, space_of

ENTRIES = (
    Entry(
        "RS401",
        "op that does not fit its input",
        "The shape of the stream does not go through this op: groups that do not divide the channels, a kernel\n"
        "larger than the map, a ladder whose steps do not double. The label shows the shape at an image of 192x256;\n"
        "other sizes of images were tried and do not fit either.",
        space_of("  output y = image | groupnorm(2)\n"),
    ),
    Entry(
        "RS402",
        "streams that cannot be merged",
        "Streams that are merged have one stride and one size and, except for `concat`, one number of channels.\n"
        "Both places are shown. Make them alike with `conv(1, channels)`, `resize(to = ...)` or a stride.",
        space_of("  output y = (image | conv(1, 8)) + (image | conv(1, 16))\n"),
    ),
    Entry(
        "RS403",
        "gate with another number of logits than routes",
        "The body of a gate ends in one channel for each route it decides over: end it with `conv(1, routes,\n"
        "bias)`. Routes that nobody reads do not exist and are not counted.",
        space_of("  gate g per image {\n    body mean | conv(1, 2)\n    activation sigmoid\n  }\n" + CHOICE),
    ),
    Entry(
        "RS404",
        "gate that decides more than once for each image",
        "A gate `per image` ends in a single position: put `mean` into its body.",
        space_of("  gate g per image {\n    body conv(1, routes)\n    activation sigmoid\n  }\n" + CHOICE),
    ),
    Entry(
        "RS405",
        "closed branch of another shape than the open one",
        "A branch delivers the same shape whether it is open or closed. `closed keep = x` passes `x` on, so `keep`\n"
        "may change neither the channels nor the stride of `x`.",
        space_of(
            GATE + "  node {\n    x = image | conv(1, 8)\n    send x by g(x) {\n"
            "      keep: conv(1, 16)\n    } closed keep = x\n  }\n"
            "  output y = keep\n"
        ),
    ),
    Entry(
        "RS406",
        "gate per position of another size than what it gates",
        "A gate `per position` weighs the result of the op it stands before, position by position, so both have one\n"
        "size. Gate before a resize rather than behind it, or give the gate's body the stride of the op.",
        space_of(
            MAP_GATE + "  node {\n    x = image | conv(1, 8)\n    y = x | g * conv(3, stride = 2)\n  }\n"
            "  output out = y\n"
        ),
    ),
    Entry(
        "RS407",
        "shared weights of different shapes",
        "Values at indices of an axis that is shared use one set of weights, so their convolutions and norms must be\n"
        "alike at all of them: no channels or kernels that depend on the axis.",
        space_of(
            "  axis layer = 0..1\n  node at layer {\n    x = image | conv(3, 4 + layer)\n  }\n"
            "  output a = x[0]\n  output b = x[1]\n  share across(layer)\n"
        ),
    ),
)
