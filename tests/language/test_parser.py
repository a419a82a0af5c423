"""Texts to syntax: values, places, line ends, limits, and reading on after errors."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routespace.diagnostics import Findings, RouteError
from routespace.language.parser import MAX_LENGTH, parse
from routespace.space.expr import (
    Arg,
    Attribute,
    AxisDecl,
    Binary,
    Branch,
    Call,
    Choice,
    Clause,
    ClosedRule,
    Each,
    Equation,
    Expr,
    GateDecl,
    If,
    ImportDecl,
    Index,
    InputDecl,
    Items,
    LetDecl,
    Name,
    NetDecl,
    NodeDecl,
    Number,
    OutputDecl,
    Param,
    Pipe,
    Range,
    Row,
    ShareDecl,
    SpaceDecl,
    Step,
    Sum,
    Unary,
    Walk,
)

EXAMPLE = (Path(__file__).parents[2] / "examples" / "segmentation.route").read_text(encoding="utf-8")
a, b, c, d, f, g, x, y = map(Name, "abcdfgxy")


def expr(text: str) -> Expr:
    (op,) = parse(f"op it = {text}").items
    return op.value


def statements(text: str) -> tuple[object, ...]:
    (space,) = parse(f"space s {{\n{text}\n}}").items
    return space.body


def codes(text: str) -> list[str]:
    findings = Findings()
    parse(text, findings=findings)
    return [one.code for one in findings.diagnostics]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", Number(1)),
        ("0.40", Number(0.4)),
        ("1e-4", Number(1e-4)),
        ("2E3", Number(2000.0)),
        ("a", a),
        ("nothing", Name("nothing")),
        ("yes", Name("yes")),
        ("f()", Call("f", ())),
        ("f(a, b)", Call("f", (Arg(None, a), Arg(None, b)))),
        ("f(a, by = b,)", Call("f", (Arg(None, a), Arg("by", b)))),
        ("f(g = a in training)", Call("f", (Arg("g", a, "training"),))),
        ("f(a in inference, b)", None),
        ("f(a for b in c)", Call("f", (Arg(None, Each(a, "b", c)),))),
        ("f(a for b in 0..c - 1)", Call("f", (Arg(None, Each(a, "b", Range(Number(0), Binary("-", c, Number(1))))),))),
        ("x[a - 1, b]", Index("x", (Binary("-", a, Number(1)), b))),
        ("x[0..a, b]", Index("x", (Range(Number(0), a), b))),
        ("[]", Items(())),
        ("[a, 1..2]", Items((a, Range(Number(1), Number(2))))),
        ("a + b + c", Sum((a, b, c))),
        ("(a + b) + c", Sum((Sum((a, b)), c))),
        ("a + (b + c)", Sum((a, Sum((b, c))))),
        ("a - b - c", Binary("-", Binary("-", a, b), c)),
        ("a + b - c + d", Sum((Binary("-", Sum((a, b)), c), d))),
        ("a - b + c", Sum((Binary("-", a, b), c))),
        ("a * b / c", Binary("/", Binary("*", a, b), c)),
        ("a + b * c", Sum((a, Binary("*", b, c)))),
        ("a ^ b ^ c", Binary("^", a, Binary("^", b, c))),
        ("-a ^ b", Unary("-", Binary("^", a, b))),
        ("a ^ -b", Binary("^", a, Unary("-", b))),
        ("4 * 2^a", Binary("*", Number(4), Binary("^", Number(2), a))),
        ("--a", Unary("-", Unary("-", a))),
        ("a - -b", Binary("-", a, Unary("-", b))),
        ("not a and b or c", Binary("or", Binary("and", Unary("not", a), b), c)),
        ("not a == b", Unary("not", Binary("==", a, b))),
        ("a + b <= c", Binary("<=", Sum((a, b)), c)),
        ("a | b | c", Pipe((a, b, c))),
        ("a | (b | c)", Pipe((a, Pipe((b, c))))),
        ("x | f + g", Pipe((x, Sum((f, g))))),
        ("a or b | c", Pipe((Binary("or", a, b), c))),
        ("a | f if b == c else d | g", If(Pipe((a, f)), Binary("==", b, c), Pipe((d, g)))),
        ("a if b else c if d else x", If(a, b, If(c, d, x))),
        ("(a if b else c) | f", Pipe((If(a, b, c), f))),
        ("((a))", a),
    ],
)
def test_expressions(text: str, value: Expr | None) -> None:
    if value is None:
        with pytest.raises(RouteError):
            expr(text)
    else:
        assert expr(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sum by g { a: f }", Choice("sum", g, (Branch("a", f),))),
        ("one by g(x) { a: f; b: g }", Choice("one", Call("g", (Arg(None, x),)), (Branch("a", f), Branch("b", g)))),
        ("mix by g {\n a: f\n\n b: g where c\n}", Choice("mix", g, (Branch("a", f), Branch("b", g, c)))),
        ("sum by g { a: f } closed = x", Choice("sum", g, (Branch("a", f),), None, (ClosedRule(None, x),))),
        (
            "sum by g { a: f } closed a = x | f, nothing below 1/2",
            Choice(
                "sum",
                g,
                (Branch("a", f),),
                None,
                (ClosedRule("a", Pipe((x, f))), ClosedRule(None, Name("nothing"))),
                Binary("/", Number(1), Number(2)),
            ),
        ),
        ("x | sum by g { a: f } | y", Pipe((x, Choice("sum", g, (Branch("a", f),)), y))),
        ("x | sum by g { a: f } closed = y", Pipe((x, expr("sum by g { a: f } closed = y")))),
        ("a if b else sum by g { a: f } closed = y", If(a, b, expr("sum by g { a: f } closed = y"))),
        (
            "f((sum by g { a: f } closed = x, b = y))",
            Call("f", (Arg(None, expr("sum by g { a: f } closed = x, b = y")),)),
        ),
        ("2 * sum by g { a: f }", Binary("*", Number(2), Choice("sum", g, (Branch("a", f),)))),
        ("sum by one by f { a: b } { c: d }", Choice("sum", expr("one by f { a: b }"), (Branch("c", d),))),
    ],
)
def test_choices(text: str, value: Expr) -> None:
    assert expr(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("input image: 3", InputDecl("image", (), Number(3))),
        ("input pyramid[a, b]: c", InputDecl("pyramid", ("a", "b"), c)),
        ("axis a = 0..b - 1", AxisDecl("a", Range(Number(0), Binary("-", b, Number(1))))),
        ("axis a = b", AxisDecl("a", ("b",))),
        (
            "axis a = b, c with d = 2^a,\n x = y",
            AxisDecl("a", ("b", "c"), (Attribute("d", expr("2^a")), Attribute("x", y))),
        ),
        ("axis a = 1..2 with d = a", AxisDecl("a", Range(Number(1), Number(2)), (Attribute("d", a),))),
        ("let a[b] = c", LetDecl("a", ("b",), c)),
        ("output a[b] = c", OutputDecl("a", ("b",), c)),
        ("share across(a, b)", ShareDecl(("a", "b"))),
        ("share across(a) except b, c", ShareDecl(("a",), ("b", "c"))),
        ("live by_node in inference", Clause("live", Name("by_node"), "inference")),
        ("budget (a)", Clause("budget", a)),
        ("node { }", NodeDecl(None, (), None, ())),
        ("node a at b, c where d { x = y }", NodeDecl("a", ("b", "c"), d, (Equation("x", y),))),
        (
            "gate a(b = 1) per image { body f; start c in training }",
            GateDecl("a", (Param("b", Number(1)),), "image", (Clause("body", f), Clause("start", c, "training"))),
        ),
        (
            "node { send x | f by g(x) { a: f } closed a = x, b = y below 1e-4 }",
            NodeDecl(
                None,
                (),
                None,
                (
                    Choice(
                        "send",
                        Call("g", (Arg(None, x),)),
                        (Branch("a", f),),
                        Pipe((x, f)),
                        (ClosedRule("a", x), ClosedRule("b", y)),
                        Number(1e-4),
                    ),
                ),
            ),
        ),
        (
            "node { send (sum by f { b: c }) by g { a: f } }",
            NodeDecl(None, (), None, (Choice("send", g, (Branch("a", f),), expr("sum by f { b: c }")),)),
        ),
    ],
)
def test_statements(text: str, value: object) -> None:
    assert statements(text) == (value,)


def test_declarations() -> None:
    file = parse(
        'from "../a.route" import a, b\nspace s(a = 1, b) { }\n'
        "net n in s { walk x[0, a]: keep^3, down; row keep[0..3] }"
    )
    start = Index("x", (Number(0), a))
    row = Row((Index("keep", (Range(Number(0), Number(3)),)),))
    assert file.items == (
        ImportDecl("../a.route", ("a", "b")),
        SpaceDecl("s", (Param("a", Number(1)), Param("b", None)), ()),
        NetDecl("n", "s", (Walk(start, (Step("keep", Number(3)), Step("down"))), row)),
    )


def test_example() -> None:
    space, net = parse(EXAMPLE).items
    assert [one.kind for one in space.body] == [
        "input",
        *["axis"] * 2,
        *["op"] * 3,
        "gate",
        "node",
        "output",
        *["clause"] * 4,
    ]
    node = space.body[7]
    assert [one.name for one in node.body[2].branches] == ["keep", "up", "down"]
    assert net.parts[0].steps[0] == Step("keep", Number(3))


@pytest.mark.parametrize(
    "text",
    [
        "op a = b\n  | c",
        "op a = b |\n c",
        "op a = b # one\n\n # two\n | c # three",
        "op a =\n b | c",
        "op a = b\r\n | c\r\n",
        "op a = b\r| c",
        "\n;\n;op a = (b\n) | c;;\n",
        "op a\t=\tb\f| c",
        "\ufeffop a = b | c",
    ],
)
def test_line_ends(text: str) -> None:
    assert parse(text).items == parse("op a = b | c").items


def test_statements_end_inside_braces_inside_brackets() -> None:
    assert expr("f(sum by g {\n a: f\n b: g\n},\n x)") == expr("f(sum by g { a: f; b: g }, x)")
    assert expr("a if b\nelse c") == If(a, b, c)
    assert expr("a\n+ b") == Sum((a, b))
    assert codes("op it = a\n- b") == ["RS101"]
    assert codes("op it = a;| b") == ["RS101"]


def test_places() -> None:
    text = "op it = f(2 * a) | (b + c)\n"
    (op,) = parse(text, "p.route").items

    def at(value: object) -> str:
        assert value.span.path == "p.route"
        return text[value.span.start : value.span.end]

    assert at(op) == text.strip()
    assert at(op.value) == "f(2 * a) | (b + c)"
    call, total = op.value.stages
    assert (at(call), at(call.args[0]), at(call.args[0].value.right), at(total)) == ("f(2 * a)", "2 * a", "a", "b + c")


def test_comments() -> None:
    file = parse("# one\nop a = b  # two \n  #three\n; # four")
    assert [(one.text, one.own_line) for one in file.comments] == [
        ("# one", True),
        ("# two", False),
        ("#three", True),
        ("# four", False),
    ]


# ---- errors ----------------------------------------------------------------------------------------------------------


def test_errors_are_raised_or_collected() -> None:
    with pytest.raises(RouteError) as caught:
        parse("op a = 2 b\nop c = \nop d = e", "p.route")
    assert [one.code for one in caught.value.diagnostics] == ["RS112", "RS111"]
    assert "p.route:1:10" in str(caught.value)
    findings = Findings()
    file = parse("op a = 2 b\nop c = \nop d = e", "p.route", findings)
    assert [one.name for one in file.items] == ["a", "d"]
    assert findings.has_errors and "p.route" in findings.sources


def test_what_can_be_read_is_kept() -> None:
    findings = Findings()
    text = (
        EXAMPLE.replace("input image: 3", "input image 3").replace("keep: relu", "keep relu").replace("^3, down", "^^")
    )
    space, net = parse(text, findings=findings).items
    assert len(findings.diagnostics) == 3
    assert [one.name for one in space.body[6].body[2].branches] == ["up", "down"]
    assert net.parts == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("op a = " + "(" * 65, "RS105"),
        ("op a = " + "b - " * 100 + "b", "RS106"),
        ("op a = " + "b and " * 100 + "b", "RS106"),
        ("op a = " + "2^" * 100 + "2", "RS106"),
        ("op a = " + "not " * 100 + "b", "RS106"),
        ("op a = " + "-" * 200_000 + "b", "RS106"),
        ("op a = " + "b if c else " * 100 + "b", "RS106"),
        ("space s(a = " + "b - " * 100 + "b) { }", "RS106"),
        ("space s { node where " + "b - " * 100 + "b { } }", "RS106"),
        ("#" * (MAX_LENGTH + 1), "RS107"),
        ("op a = " + "1" * 1001, "RS108"),
        ("op a = 1e999", "RS108"),
    ],
)
def test_limits(text: str, code: str) -> None:
    started = time.perf_counter()
    assert codes(text) == [code]
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        "op a = " + "(" * 64 + "b" + ")" * 64,
        "op a = " + "b - " * 99 + "b",
        "op a = " + "f(" * 64 + ")" * 64,
        "op a = " + "b + " * 10_000 + "b",
        "op a = " + "b | " * 10_000 + "b",
        "op a = f(" + "b - c, " * 10_000 + "b)",
        "op a = " + "1" * 1000,
    ],
)
def test_within_limits(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize(
    "junk", ["\x00", "@\n", '"', "(", ")", "{", "}", "space {\n", "op a = (\n", "a by ", "send ", "nod x\n", ";"]
)
def test_much_junk_is_read_quickly(junk: str) -> None:
    for text in (junk * 20_000, "space s {\n node {\n" + junk * 20_000):
        started = time.perf_counter()
        assert len(codes(text)) <= 50
        assert time.perf_counter() - started < 3


def test_time_is_linear() -> None:
    node = EXAMPLE[EXAMPLE.index("  node at") : EXAMPLE.index("  output logits")]

    def seconds(count: int) -> float:
        text = "space s {\n" + node * count + "}"
        times = []
        for _ in range(3):
            started = time.process_time()
            parse(text)
            times.append(time.process_time() - started)
        return min(times)

    seconds(10)
    assert seconds(800) < 16 * seconds(100)


_SIGNS = "(){}[]|+-*/^=<>:;,.#\"'\n\t\r\0é"
_WORDS = [
    "by ",
    "send ",
    "sum by g { a: b }",
    "node ",
    "closed ",
    "..",
    "==",
    "not ",
    "if ",
    "else ",
    "op ",
    "3",
    " x ",
]
_WORDS += ["for x in ", " in training", "1e999", "space ", "net ", "where ", "from ", "nothing "]
_FRAGMENTS = st.sampled_from([*_SIGNS, *_WORDS])


@st.composite
def _mutants(draw: st.DrawFn) -> str:
    text = EXAMPLE
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(text)))
        match draw(st.sampled_from(["insert", "delete", "truncate", "repeat", "char"])):
            case "insert":
                text = text[:at] + draw(_FRAGMENTS) + text[at:]
            case "delete":
                text = text[:at] + text[at + draw(st.integers(1, 60)) :]
            case "truncate":
                text = text[:at]
            case "repeat":
                start = draw(st.integers(0, len(text)))
                text = text[:at] + text[start : start + draw(st.integers(1, 200))] + text[at:]
            case "char":
                text = text[:at] + draw(st.characters()) + text[at + 1 :]
    return text


@settings(max_examples=200, deadline=2000)
@given(_mutants())
def test_any_text_is_read_or_reported(text: str) -> None:
    try:
        parse(text)
    except RouteError as error:
        assert 0 < len(error.diagnostics) <= 50
        assert str(error)
