"""RS3: values of the wrong kind, and arguments that do not fit."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry
from routespace.diagnostics.codes.texts import GATE, OUTPUT, space_of

ENTRIES = (
    Entry(
        "RS301",
        "something that is no number",
        "A number is needed here, and this is a list, a condition, an op, a stream or a gate. Conditions are no\n"
        "numbers: write `1 if condition else 0`.",
        space_of("  output y = image | conv(1, relu)\n"),
    ),
    Entry(
        "RS302",
        "number that is not whole",
        "Channels, kernels, indices and the like are whole numbers. Division is exact: `channels / 2` of 5 channels\n"
        "is 5/2, and nothing is rounded.",
        space_of("  output y = image | conv(1, channels / 2)\n"),
    ),
    Entry(
        "RS303",
        "something that is no condition",
        "Behind `where` and `if`, and beside `and`, `or` and `not`, stands a condition: a comparison, `yes` or\n"
        "`no`, or a parameter that is one of them. Numbers are none: write `n > 0`.",
        space_of("  let wide = 8 if 1 else 4\n  output y = image | conv(1, wide)\n"),
    ),
    Entry(
        "RS304",
        "wrong number of indices",
        "What is declared with an index is read with that many: `w[layer]`, `x[layer - 1, scale]`.",
        space_of("  let w[layer] = 8 * layer\n  output y = image | conv(1, w)\n"),
    ),
    Entry(
        "RS305",
        "index outside a list",
        "The items of a list count from 0.",
        "space s(widths = [8, 16]) {\n  input image: 3\n  output y = image | conv(1, widths[2])\n}\n",
    ),
    Entry(
        "RS306",
        "definition by itself",
        "An op, a `let`, an attribute or a parameter needs its own value, directly or through the names that the\n"
        "note lists. A `let` may read itself at another index, if that ends: `let w[n] = 8 if n == 0 else w[n - 1]\n"
        "+ 8`.",
        space_of("  let a = b + 1\n  let b = a\n  output y = image | conv(1, a)\n"),
    ),
    Entry(
        "RS307",
        "computation without a value",
        "A division by zero, an exponent that is not a whole number from -64 to 64, or `min` or `max` of nothing.",
        space_of("  let w = 8 / (3 - 3)\n  output y = image | conv(1, w)\n"),
    ),
    Entry(
        "RS308",
        "something that is no op",
        "Behind `|` stands an op of one stream. A list of ops is summed with `sum(list)`, an op of several streams\n"
        "is called with them, and a stream is added with `+`, not piped into.",
        space_of("  output y = image | 3\n"),
    ),
    Entry(
        "RS309",
        "wrong arguments",
        "The op, the gate or the activation has no such argument, has it already, has fewer, or needs one more. The\n"
        "help shows its signature; flags like `bias` are written by their name alone.",
        space_of("  output y = image | conv(3, chanels = 8)\n"),
    ),
    Entry(
        "RS310",
        "merge of no ops",
        "A list of ops that are added has at least one.",
        "space s(cells = []) {\n  input image: 3\n  output y = image | sum(cells)\n}\n",
    ),
    Entry(
        "RS311",
        "argument outside its range",
        "A kernel, a stride or a number of channels is at least 1, nothing is above 2^20, an input has at most\n"
        "65536 channels, and words are among those that the message lists.",
        space_of("  output y = image | conv(0)\n"),
    ),
    Entry(
        "RS312",
        "scale without strides",
        "`resize(to = ...)` names an index of the axis that has the attribute `stride`, and the space has none:\n"
        "`axis scale = s4, s8 with stride = 4 * 2^scale`. `resize(by = ...)` needs no axis.",
        space_of("  axis scale = s4, s8\n  output y = image | resize(to = s4)\n"),
    ),
    Entry(
        "RS313",
        "axis or stride below what it can be",
        "The indices of an axis count from 0 or more, and a stride is above 0.",
        space_of("  axis layer = -1..3\n" + OUTPUT),
    ),
    Entry(
        "RS314",
        "something that is no stream",
        "A stream is needed here: an input, a stream of a node, or what ops make of one. An op alone is none: write\n"
        "`x | op`.",
        space_of("  output y = relu\n"),
    ),
    Entry(
        "RS315",
        "gate without the stream it reads",
        "Behind `by`, and before `*`, a gate is written with the stream it reads, `soft(x)`, or as the name of one\n"
        "that was made before, `r = soft(x)`.",
        space_of(GATE + "  output y = sum by g {\n    a: image\n  }\n"),
    ),
    Entry(
        "RS316",
        "shared gate with another number of branches",
        "Choices that share a gate share its weights, one for each branch, so they have as many branches.",
        space_of(
            GATE + "  node {\n    r = g(image)\n    a = sum by r {\n      one_: image | relu\n      two: image\n    }\n"
            "    b = sum by r {\n      three: a\n    }\n  }\n  output y = b\n"
        ),
    ),
    Entry(
        "RS317",
        "gate without a body or an activation",
        "A gate has a body, the op that makes its logits, and an activation, which makes weights of them.",
        space_of(
            "  gate g per image {\n    body mean | conv(1, routes)\n  }\n"
            "  output y = sum by g(image) {\n    a: image\n  }\n"
        ),
    ),
    Entry(
        "RS318",
        "unknown clause of a gate",
        "A gate has a body, an activation, a start and a gradient, each said once.",
        space_of("  gate g per image {\n    boddy mean\n    activation sigmoid\n  }\n" + OUTPUT),
    ),
    Entry(
        "RS319",
        "start that a gate cannot have",
        "`start bias(b)` sets the bias of the last conv of the body, which must have one; `start value(a)` solves\n"
        "the activation for the bias that gives the weight `a`, inside its range. Not every activation can be\n"
        "solved.",
        space_of(
            "  gate g per image {\n    body mean | conv(1, routes, bias)\n"
            "    activation sigmoid\n    start value(2)\n  }\n"
            "  output y = sum by g(image) {\n    a: image\n  }\n"
        ),
    ),
    Entry(
        "RS322",
        "gradient of a gate that is none",
        "`gradient all` computes shut routes in training too, so that what they would have delivered teaches the\n"
        "gate; under `gradient open` only open routes run and teach. Activations that decide hard have `all` unless\n"
        "said.",
        space_of(
            "  gate g per image {\n    body mean | conv(1, routes, bias)\n"
            "    activation threshold\n    gradient none\n  }\n"
            "  output y = g(image) * image\n"
        ),
    ),
)
