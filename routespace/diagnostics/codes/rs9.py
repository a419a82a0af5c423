"""RS90: warnings. The space can be built, and part of what it says has no effect."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry
from routespace.diagnostics.codes.texts import GATE, MAP_GATE, OUTPUT, space_of

ENTRIES = (
    Entry(
        "RS901",
        "node that is dropped",
        "The node stands in the text and no output reads what it makes, directly or through other nodes, so it is\n"
        "neither built nor run. Let something read it, or restrict its `where`.",
        space_of("  axis layer = 0..2\n  node at layer {\n    x = image | relu\n  }\n  output y = x[1]\n"),
    ),
    Entry(
        "RS902",
        "route that is dropped",
        "Nothing reads this branch at any place, or its condition holds at none, so it is not built and its gate has\n"
        "no logit for it.",
        space_of(
            GATE + "  node {\n    send image by g(image) {\n      keep: relu\n"
            "      up: tanh\n    }\n  }\n  output y = keep\n"
        ),
    ),
    Entry(
        "RS903",
        "gate that nothing uses",
        "No choice of the space is decided by this gate, at any place.",
        space_of(GATE + OUTPUT),
    ),
    Entry(
        "RS904",
        "op that nothing uses",
        "No stream, op or gate names this op. Ops that were imported, and those of the prelude, are not reported.",
        space_of("  op norm = batchnorm\n" + OUTPUT),
    ),
    Entry(
        "RS905",
        "`let` or attribute that nothing reads",
        "No expression reads this number. (The attribute `stride` is read by `resize(to = ...)`, and never\nreported.)",
        space_of("  let wide = 64\n" + OUTPUT),
    ),
    Entry(
        "RS906",
        "parameter that nothing reads",
        "Giving the parameter of the space, the op or the gate another value would change nothing.",
        "space s(depth = 4) {\n  input image: 3\n  output y = image | relu\n}\n",
    ),
    Entry(
        "RS907",
        "input that nothing reads",
        "No stream reads this input.",
        space_of("  input mask: 1\n" + OUTPUT),
    ),
    Entry(
        "RS908",
        "axis that nothing stands on",
        "No node, input, output or number uses this axis.",
        space_of("  axis layer = 0..4\n" + OUTPUT),
    ),
    Entry(
        "RS909",
        "read that meets no node at these parameters",
        "The read stays on the axes and meets no node wherever it stands, so it is nothing and merges leave it out.\n"
        "With other parameters it may meet one; if it never should, take it out.",
        space_of(
            "  axis layer = 0..2\n  axis scale = s4, s8\n  node at layer, scale where scale == 0 {\n"
            "    x = image + x[layer - 1, scale + 1]\n  }\n  output y = x[2, s4]\n"
        ),
    ),
    Entry(
        "RS910",
        "op that makes skipping impossible",
        "The statistics of a norm behind a gate `per position` run over all positions, so what stands before it is\n"
        "computed everywhere. `stats = active` counts the positions that are computed anyway; `stats = active in\n"
        "inference, stats = all in training` is what released code does. An op registered from Python that does not\n"
        "tell its `window` is taken to read all positions too.",
        space_of(
            MAP_GATE + "  node {\n    x = image | conv(1, 8)\n    y = x | g * (conv(3) | groupnorm(2))\n  }\n"
            "  output out = y\n"
        ),
    ),
    Entry(
        "RS911",
        "gate that never closes",
        "The activation of this gate gives every route some weight, however small, so all of them are computed for\n"
        "every image in the sparse form too. An activation that reaches 0, `relu_tanh` for one, lets it skip.",
        space_of(
            "  gate g per image { body mean | conv(1, routes, bias); activation sigmoid }\n"
            "  node {\n    x = image | conv(1, 8)\n    y = x + g(x) * (x | conv(3))\n  }\n  output out = y\n"
        ),
    ),
    Entry(
        "RS912",
        "requirement that gates can break",
        "What a space requires binds the nets that are declared, counted, drawn and found. For an image, gates open\n"
        "what their activations can open, and some of that is forbidden here. `argmax` opens one route at a time.",
        space_of(
            "  axis layer = 0..2\n  gate g per image { body mean | conv(1, routes, bias); activation relu_tanh }\n"
            "  node at layer {\n    x = image | conv(1, 8) if layer == 0 else a[layer - 1] + b[layer - 1]\n"
            "    send x by g(x) { a: relu; b: conv(1) }\n  }\n  output y = a[2]\n  require open(x[layer]) <= 1\n"
        ),
    ),
    Entry(
        "RS913",
        "equation that no output reads",
        "No output reads this stream at any place, so it is neither built nor run. Where it ought to be part of the\n"
        "net, let another stream read it. What only this stream reads is not reported besides it.",
        space_of(
            "  node {\n    x = image | conv(1, 8)\n    h = x | conv(3)\n    y = x | relu\n  }\n  output out = y\n"
        ),
    ),
    Entry(
        "RS914",
        "images that fit for some sizes only",
        "What this needs of an image, one of 192x256 does not have and one of another size has: a window that fits,\n"
        "streams that come out alike. Images that do not fit are refused when they come, with this reason.",
        space_of("  output y = image | conv(3, 8, stride = 32) | avgpool(7, pad = 0)\n"),
    ),
)
