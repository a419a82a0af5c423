"""Findings show the values of the names that they are about, and point at the mistake."""

from __future__ import annotations

import pytest

from routespace.diagnostics import Diagnostic
from routespace.space.model import ParameterValue
from tests.language.found import find

HEAD = """space s(width = 8, half = width / 2, depth = 2, norm = groupnorm, cells = [relu, tanh], more = cells,
        widths = [8, 12], wide = yes) {
  input image: 3
  axis scale = s4, s8 with stride = 4 * 2^scale, ch = width * scale
"""


def only_error(body: str, **given: ParameterValue) -> tuple[Diagnostic, str]:
    """The one error of a space with `body`, and the text that it points at."""
    text = f"{HEAD}  {body}\n}}\n"
    (one,) = [each for each in find(text, "s.route", **given).diagnostics if each.severity == "error"]
    assert one.span is not None
    return one, text[one.span.start : one.span.end]


@pytest.mark.parametrize(
    ("body", "code", "place", "values"),
    [
        ("output y = image | conv(1, width - 8)", "RS311", "width - 8", "`width` is 8"),
        ("output y = image | conv(1, channels = half / 3)", "RS302", "half / 3", "`half` is 4, `width` is 8"),
        ("let w = width / 3\n  output y = image | conv(1, w)", "RS302", "w", "`w` is 8/3, `width` is 8"),
        (
            "let w[n] = width - n\n  output y = image | conv(1, w[8])",
            "RS311",
            "w[8]",
            "`w` is 0, `width` is 8, `n` is 8",
        ),
        ("op b(k) = conv(k, 8)\n  output y = image | b(width - 8)", "RS311", "k", "`k` is 0, `width` is 8"),
        ("op b(c = half) = conv(1, c / 3)\n  output y = image | b", "RS302", "c / 3", "`c` is 4"),
        ("output y = image | conv(1, 8 / widths[1])", "RS302", "8 / widths[1]", "`widths` is 12"),
        ("output y = image | conv(1, widths[depth])", "RS305", "widths[depth]", "`depth` is 2"),
        ("axis a = width..depth\n  output y = image", "RS502", "width..depth", "`width` is 8, `depth` is 2"),
        ("output y = image | groupnorm(depth)", "RS401", "groupnorm(depth)", "`depth` is 2"),
        (
            "output y = image | conv(1, 6) | conv(1, width, groups = depth + 1)",
            "RS401",
            None,
            "`depth` is 2, `width` is 8",
        ),
        ("budget square(expected / maximum, depth)\n  output y = image", "RS604", "depth", "`depth` is 2"),
        ("init normal(depth - 2)\n  output y = image", "RS311", "depth - 2", "`depth` is 2"),
        ("output y = image | conv(1, 8 if width else 4)", "RS303", "width", "`width` is 8"),
        (
            "node at scale { x = image | conv(1, ch) }\n  output y = x[s4] + x[s8]",
            "RS311",
            "ch",
            "`ch` is 0, `width` is 8, `scale` is 0 (`s4`)",
        ),
        (
            "node at scale { x = image | conv(1, stride[scale + 1]) }\n  output y = x[s8]",
            "RS501",
            "scale + 1",
            "`scale` is 1 (`s8`)",
        ),
    ],
)
def test_values_are_shown(body: str, code: str, place: str | None, values: str) -> None:
    one, text = only_error(body)
    assert one.code == code
    assert place is None or text == place
    assert values in (one.labels[0].text, *one.notes) or values in one.labels[0].text


@pytest.mark.parametrize("width", [0, 3])
def test_values_that_are_given_from_outside_are_shown(width: int) -> None:
    one, text = only_error("output y = image | conv(1, half)", width=width)
    assert text == "half"
    assert one.labels[0].text.startswith(f"`half` is {'3/2' if width else 0}, `width` is {width}")


def test_a_shape_shows_what_its_statement_reads_through_ops() -> None:
    one, _ = only_error("op b = conv(3, width)\n  node { x = image + (image | b) }\n  output y = x")
    assert one.code == "RS402" and "`width` is 8" in one.notes


@pytest.mark.parametrize(
    ("body", "place", "what"),
    [
        ("let e = cells + 1\n  output y = image | conv(1, e)", "cells", "`cells` is a list of ops"),
        ("output y = image | conv(1, cells[0])", "cells[0]", "`cells` is a list of ops"),
        ("output y = image | conv(1, more)", "more", "`more` is a list of ops"),
        ("output y = image | conv(1, max(more))", "more", "`more` is a list of ops"),
        ("axis a = 0..cells\n  output y = image", "cells", "`cells` is a list of ops"),
        ("output y = image | conv(1, norm)", "norm", "`norm` is an op"),
        ("output y = image | conv(1, norm * 2)", "norm", "`norm` is an op"),
        ("op b(k) = conv(1, k)\n  output y = image | b(relu)", "k", "not an op"),
        ("op b(k) = conv(1, k)\n  output y = image | b([relu, tanh])", "k", "not a list of ops"),
        ("output y = image | conv(1, widths)", "widths", "not a list"),
        ("output y = image | conv(1, wide)", "wide", "not yes or no"),
        ("let a = relu\n  output y = image | conv(1, a)", "relu", "`relu` is an op"),
    ],
)
def test_what_is_no_number_is_told_where_it_is_read(body: str, place: str, what: str) -> None:
    one, text = only_error(body)
    assert one.code == "RS301"
    assert one.message.endswith(what)
    assert text == place
