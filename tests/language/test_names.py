"""Names are looked up wherever they stand; what nothing reads is a warning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

from routespace.diagnostics import Findings, RouteError
from routespace.language import table
from routespace.language.imports import Library, collect
from routespace.language.load import load, loads
from routespace.language.names import check_names
from routespace.language.parser import parse
from routespace.space.names.legal import KEYWORDS, MAX_DEPTH
from routespace.testing.dice import SeededDice
from routespace.testing.spaces import write_space
from tests.language.found import codes_of, find

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.route"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_have_no_findings(path: Path) -> None:
    findings = Findings()
    load(path, findings=findings)
    assert findings.diagnostics == ()


@pytest.mark.parametrize("seed", range(100))
def test_random_spaces_have_no_errors(seed: int) -> None:
    findings = Findings()
    loads(write_space(SeededDice(seed)), findings=findings)
    assert not findings.has_errors


def test_keywords_are_those_of_the_grammar() -> None:
    assert {word for word in table.load().keywords.values() if word.isidentifier()} == KEYWORDS


def test_depth_is_that_of_the_parser() -> None:
    from routespace.language import depth

    assert depth.MAX_DEPTH == MAX_DEPTH


def space(body: str, op: str = "relu", params: str = "") -> str:
    return f"space s{params} {{\n  input image: 3\n{body}\n  output y = image | {op}\n}}\n"


def test_places_that_are_never_expanded_are_checked() -> None:
    assert codes_of(space("axis a = 0..1\nnode at a where a > 0 and no { x = image | rleu }")) >= {"RS203"}
    assert codes_of(space("op f = relu if yes else rleu", "f")) == {"RS203"}
    assert codes_of(space("gate g per image { body rleu; activation softmaxx }")) == {"RS203", "RS209"}
    assert codes_of(space("let w[n] = 8 if n == 0 else wdth")) == {"RS201"}
    assert codes_of(space("op f(k = wdth) = conv(k)")) == {"RS201"}


def test_parameters_and_variables_are_known_where_they_stand_only() -> None:
    assert codes_of(space("op f(k, norm) = conv(k) | norm", "f(1, relu)")) == set()
    assert codes_of(space("op f(k) = conv(k)\nop g = conv(k)", "f(1) | g")) == {"RS201"}
    assert codes_of(space("op f(k, c = k) = conv(k, c)", "f(1)")) == {"RS201"}
    assert codes_of(space("let w = sum(n for n in 0..3) + n", "conv(1, w)")) == {"RS201"}
    assert codes_of(space("let w[n] = n\nlet v = n", "conv(1, w[3] + v)")) == {"RS201"}


def test_words_of_an_op_are_no_names() -> None:
    assert codes_of(space("", "batchnorm(stats = active) | conv(1, bias) | conv(1, 4, bias)")) == set()
    assert codes_of(space("", "conv(1, bais)")) == {"RS201"}


def test_an_unknown_op_does_not_make_its_flags_unknown() -> None:
    assert [one.message for one in find(space("", "cnov(3, bias, width)")).diagnostics] == ["unknown op `cnov`"]


def test_one_name_at_many_places_is_one_finding() -> None:
    (one,) = find(space("op f = nrom | relu | nrom\nop g = nrom | nrom | nrom | nrom | nrom", "f | g")).diagnostics
    assert len(one.labels) == 5
    assert one.notes == ("and at 2 more places",)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("gate g per image { body mean | conv(1, routes); activation sigmoid }", "RS903"),
        ("op f = relu", "RS904"),
        ("let w = 3", "RS905"),
        ("let w[n] = n", "RS905"),
        ("axis a = p, q with wide = 3\nnode at a { x = image }", "RS905"),
        ("op f(k) = relu", "RS906"),
        ("axis a = 0..3", "RS908"),
    ],
)
def test_unused(body: str, code: str) -> None:
    findings = find(space(body)).diagnostics
    assert code in {one.code for one in findings}
    assert {one.severity for one in findings} == {"warning"}


@pytest.mark.parametrize(
    ("body", "op"),
    [
        ("op f = relu\nop g = f", "g"),
        ("let w = 3\nlet v = w", "conv(1, v)"),
        ("axis a = p, q with stride = 2 * 2^a", "resize(to = q)"),
        ("axis a = p, q with stride = 2 * 2^a\nop f = resize(to = p)", "f"),
        ("axis a = 1..3", "conv(1, sum(i for i in a))"),
        ("op f(g = relu) = g", "f"),
    ],
)
def test_used(body: str, op: str) -> None:
    assert codes_of(space(body, op)) == set()


def test_warnings_wait_for_the_errors() -> None:
    assert codes_of(space("op f = relu", "rleu")) == {"RS203"}


def test_parameters_used_by_policies_and_nets() -> None:
    text = space("budget square(expected / maximum, mu)", params="(mu = 0.5)")
    assert codes_of(text) == set()


def test_the_prelude_and_imports_may_stay_unused(tmp_path: Path) -> None:
    (tmp_path / "library.route").write_text("op norm = batchnorm\nop other = relu\n")
    text = f'from "library.route" import norm, other\n{space("", "norm")}'
    assert codes_of(text, str(tmp_path / "a.route")) == set()


def test_beside_several_spaces_names_may_be_those_of_one() -> None:
    first = "space a(width = 3) { input image: 3; output y = image | f }"
    second = "space b { input image: 3; output y = image | relu }"
    text = f"op f = conv(1, width)\n{first}\n{second}\n"
    assert codes_of(text, space="a") == set()
    assert codes_of(text, space="b") == set()
    assert codes_of(text.replace("image | relu", "image | f"), space="b") == {"RS201"}


def test_an_imported_op_keeps_its_meaning(tmp_path: Path) -> None:
    (tmp_path / "library.route").write_text("op norm = batchnorm\nop block = conv(3) | norm\n")
    (tmp_path / "other.route").write_text("op norm = groupnorm(1)\n")
    path = str(tmp_path / "a.route")
    use = 'from "library.route" import block\n'
    assert codes_of(use + space("", "block"), path) == set()
    assert codes_of(use + space("op norm = groupnorm(3)", "block | norm"), path) == {"RS216"}
    assert codes_of(use + space("op norm = batchnorm", "block | norm"), path) == set()
    assert codes_of(use + "op norm = relu\n" + space("", "block | norm"), path) == {"RS216"}
    other = 'from "other.route" import norm\n'
    for text in (use + other, other + use):
        assert codes_of(text + space("", "block | norm"), path) == {"RS216"}


def test_an_import_that_is_asked_for_comes_before_one_that_comes_along(tmp_path: Path) -> None:
    (tmp_path / "library.route").write_text("op norm = batchnorm\nop block = conv(3)\n")
    (tmp_path / "other.route").write_text("op norm = groupnorm(1)\n")
    text = 'from "library.route" import block\nfrom "other.route" import norm\n' + space("", "block | norm")
    loaded = loads(text, path=str(tmp_path / "a.route"))
    (norm,) = [one for one in loaded.library if one.name == "norm"]
    assert getattr(norm, "value").name == "groupnorm"  # noqa: B009


def test_an_import_in_the_shape_of_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zero.route").symlink_to("/dev/zero")
    assert "RS151" in codes_of('from "zero.route" import a\n' + space("", "relu"), str(tmp_path / "a.route"))
    assert "RS152" in codes_of('from "/dev/zero" import a\n' + space("", "relu"), str(tmp_path / "a.route"))


def test_a_syntax_error_does_not_make_names_unknown() -> None:
    text = space("op norm = batchnorm(\nlet w = 3 4\naxis a = p q\n", "norm | conv(1, w) | rleu")
    assert codes_of(text) == {"RS103", "RS112", "RS203"} | codes_of("space s { axis a = p q }") - {"RS509"}


def rules(count: int) -> str:
    nodes = "\n".join(
        f"""node at layer where layer == {n} {{
    x = image | conv(3, width) if layer == 0 else keep[layer - 1] + up[layer - 1] + down[layer - 1]
    h = x | sep_conv_3x3 + identity
    send h by soft(x) {{
      keep: relu
      up:   relu | conv(1, channels / 2) | batchnorm | relu | conv(1, 2 * channels)
      down: relu | conv(1, 2 * channels) | batchnorm | relu | conv(1, channels / 2)
    }} closed keep = x
  }}"""
        for n in range(count)
    )
    gate = "gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }"
    axis = f"axis layer = 0..{count - 1}"
    return f"space s(width = 8) {{\ninput image: 3\n{axis}\n{gate}\n{nodes}\noutput y = keep[{count - 1}]\n}}\n"


def checking(text: str) -> Callable[[], float]:
    """Seconds that checking the names of `text` takes."""
    loaded = loads(text)
    library = Library()
    collect(parse(text), Path("s.route"), library, Findings())

    def measure() -> float:
        start = process_time()
        check_names(loaded, Findings(), library)
        return process_time() - start

    return measure


def test_checking_takes_linear_time() -> None:
    short, long = (checking(rules(count)) for count in (250, 1000))
    assert min(long() for _ in range(3)) < 8 * min(short() for _ in range(3))


def test_errors_are_raised_without_findings() -> None:
    with pytest.raises(RouteError) as error:
        loads(space("", "rleu"))
    assert "did you mean `relu`?" in str(error.value)


@pytest.mark.parametrize("junk", ["n" * 200_000, " " * 200_000, "n " * 100_000, "axis " * 40_000, "op n = n " * 20_000])
def test_names_of_a_broken_text_are_read_quickly(junk: str) -> None:
    started = process_time()
    with pytest.raises(RouteError, match="RS1"):
        loads("space s {\n  input image: 3\n  ) \n" + junk + "\n  output y = image | conv(1, w)\n}")
    assert process_time() - started < 3
