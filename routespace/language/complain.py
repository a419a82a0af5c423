"""What is said about a text that cannot be read: one function for each finding of the RS1 codes."""

from __future__ import annotations

from collections.abc import Callable

from routespace.diagnostics.diagnostic import Edit, Findings, Fix, insert
from routespace.diagnostics.source import Span
from routespace.language.depth import MAX_DEPTH
from routespace.language.tokens import (
    BAD,
    BAD_NAME,
    BAD_NUMBER,
    CLOSER_TO_OPENER,
    END,
    MAX_DIGITS,
    MAX_NESTING,
    OPENERS,
    STOP,
)
from routespace.language.trouble import COMPARATORS, Misnamed, Trouble, short
from routespace.space.names.legal import MAX_NAME
from routespace.space.names.lookup import MOST_PLACES

_VALUE_ENDS = frozenset({"NAME", "NUMBER", "STRING", "NOTHING", "RPAR", "RSQB", "RBRACE"})
_VALUE_STARTS = frozenset({"NAME", "NUMBER", "STRING", "NOTHING", "COMBINE"})
_DECLARING = frozenset({"AXIS", "LET", "OP", "GATE", "INPUT", "OUTPUT", "NODE", "SPACE", "NET"})
_CHAR_TO_MEANT = {
    "“": '"',
    "”": '"',
    "×": "*",
    "·": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "…": "..",
    "&": "and",
    "!": "not",
    "\xa0": " ",
}


def complain(findings: Findings, trouble: Trouble) -> int:
    """Report a token that does not fit, and return the index of the token that reading went wrong at."""
    for rule in _RULES:
        at = rule(findings, trouble)
        if at is not None:
            return at
    return _unexpected(findings, trouble)


def _bad_token(findings: Findings, trouble: Trouble) -> int | None:
    tokens, index, kind = trouble.tokens, trouble.index, trouble.kind
    if kind == BAD_NUMBER:
        message = f"this number is too long or too large: at most {MAX_DIGITS} digits, and below 1.8e308"
        findings.add("RS108", message, trouble.span())
        return index
    if kind == BAD_NAME:
        size = tokens.ends[index] - tokens.begins[index]
        message = f"this name is too long: it has {size} characters, at most {MAX_NAME} are possible"
        findings.add("RS114", message, trouble.span())
        return index
    if kind != BAD:
        return None
    if trouble.word in "\"'":
        help = "a path stands between two double quotes on one line" if trouble.word == '"' else "write `\"`, not `'`"
        findings.add("RS109", "this quote does not begin a text in quotes", trouble.span(), "never closed", help=help)
        return index
    stop = index
    while tokens.kinds[stop + 1] == BAD and tokens.begins[stop + 1] == tokens.ends[stop] and stop - index < 20:
        stop += 1
    chars = "".join(tokens.texts[index : stop + 1])
    shown = f"`{chars}`" if chars.isprintable() else ", ".join(f"U+{ord(char):04X}" for char in chars)
    plural = len(chars) > 1
    span = Span(trouble.path, tokens.begins[index], tokens.ends[stop])
    findings.add(
        "RS102",
        f"{shown} {'are not characters' if plural else 'is not a character'} of the language",
        span,
        help=insert("0", span, span.start, "a number begins with a digit: `0.5`")
        if chars == "." and tokens.kinds[stop + 1] == "NUMBER"
        else _meant(chars, span),
    )
    return index


def _meant(chars: str, span: Span) -> Fix | str | None:
    if (meant := _CHAR_TO_MEANT.get(chars[0])) is not None:
        by = f" {meant} " if meant.isalpha() else meant
        edits = (Edit(span, by),) if set(chars) == {chars[0]} else ()
        return Fix(f"write `{meant}`" if meant.strip() else "write a plain blank", edits)
    if chars[0].isalpha():
        return "names are made of the letters a-z and A-Z, digits and `_`; a comment may hold anything"
    if chars[0] == "\\":
        return "a line break needs no sign: in brackets and before `|`, `+` or `else` a statement goes on"
    return None


def _unclosed(findings: Findings, trouble: Trouble) -> int | None:
    tokens = trouble.tokens
    for start in (trouble.begin, 0) if trouble.kind == END else (trouble.begin,):
        loose = [at for at in range(start, trouble.index) if tokens.kinds[at] in OPENERS and tokens.is_loose(at)]
        openers = [at for at in loose if tokens.begins[at] not in trouble.told]
        if openers:
            break
    if not openers:
        return None
    opener = openers[-1]
    sign = tokens.texts[opener]
    closer = next(closer for closer, kind in CLOSER_TO_OPENER.items() if kind == tokens.kinds[opener])
    trouble.told.add(tokens.begins[opener])
    closed, place = trouble.keywords[closer], trouble.span()
    findings.add(
        "RS103",
        f"`{sign}` is never closed",
        trouble.span(opener),
        "opened here",
        others=[(place, f"`{closed}` is missing before {trouble.found()}")],
        help=insert(closed, place, place.start, ""),
    )
    return trouble.index


def missing_brace(findings: Findings, trouble: Trouble, opener: int) -> None:
    why = f"`{trouble.word}` cannot stand inside it: is `}}` missing before this line?"
    if trouble.kind == END:
        why = "`}` is missing before the end of the file"
    others = [(trouble.span(), why)]
    findings.add("RS103", "`{` is never closed", trouble.span(opener), "opened here", others=others)


def _unopened(findings: Findings, trouble: Trouble) -> int | None:
    if trouble.kind not in CLOSER_TO_OPENER or not trouble.tokens.is_loose(trouble.index):
        return None
    fix = Fix("take it out", (Edit(trouble.span(), ""),))
    findings.add("RS104", f"`{trouble.word}` closes nothing", trouble.span(), "no bracket is open here", help=fix)
    return trouble.index


def _unfinished(findings: Findings, trouble: Trouble) -> int | None:
    """A statement that ends too early: at the end of its line, or because the next line was read as part of it."""
    tokens, index = trouble.tokens, trouble.index
    if trouble.kind in ("EQUAL", "COLON") and index > trouble.begin + 1 and tokens.kinds[index - 1] == "NAME":
        index -= 1
    elif STOP in trouble.expected or (trouble.kind not in (STOP, END, "RBRACE") and not trouble.wants_value):
        return None
    if trouble.kind not in (STOP, END, "RBRACE") and not tokens.starts_line(index, trouble.text):
        return None
    if index == 0 or tokens.kinds[index - 1] in (STOP, "LBRACE"):
        return None
    last = index - 1
    wanted = trouble.wanted() if index == trouble.index else "an expression"
    findings.add(
        "RS111",
        f"this statement is not finished: {wanted} is missing",
        trouble.span(last),
        f"nothing follows `{short(tokens.texts[last])}`" if tokens.texts[last].strip() else "",
    )
    return index


def _beside_misnamed(findings: Findings, trouble: Trouble) -> int | None:
    """What follows from a word that was found to be meant as a name, and was read as a word."""
    tokens, at = trouble.tokens, trouble.index - 1
    if at < max(1, trouble.begin) or tokens.kinds[at - 1] in (STOP, "LBRACE") or not trouble.is_word(tokens.kinds[at]):
        return None
    places = trouble.misnamed.get(tokens.texts[at])
    if places is None:
        return None
    places.append(Misnamed(trouble.span(at), "", False))
    return trouble.index


def _reserved(findings: Findings, trouble: Trouble) -> int | None:
    tokens, index = trouble.tokens, trouble.index
    before = STOP if index == 0 else tokens.kinds[index - 1]
    is_named = before not in (STOP, "LBRACE") or tokens.kinds[index + 1 : index + 2] == ["EQUAL"]
    if not is_named or "NAME" not in trouble.expected or not trouble.is_word(trouble.kind):
        return None
    place = Misnamed(trouble.span(), f"expected {trouble.wanted()}", before in _DECLARING)
    trouble.misnamed.setdefault(tokens.texts[index], []).append(place)
    return index


def misnamed(findings: Findings, words: dict[str, list[Misnamed]]) -> None:
    """Report words that were meant as names: each once, where it is declared, with the further places."""
    for word, places in words.items():
        first = next((one for one in places if one.is_declared), places[0])
        more = [one.span for one in places if one is not first]
        rest = len(more) - MOST_PLACES
        findings.add(
            "RS110",
            f"`{word}` is a word of the language and cannot be a name",
            first.span,
            first.label,
            others=[(span, "and here") for span in more[:MOST_PLACES]],
            notes=[f"and at {rest} more place{'s' if rest > 1 else ''}"] if rest > 0 else [],
            help=f"call it `{word}_`, or something that says more",
        )


def _side_by_side(findings: Findings, trouble: Trouble) -> int | None:
    tokens, index = trouble.tokens, trouble.index
    if not ("STAR" in trouble.expected and trouble.kind in _VALUE_STARTS and index > trouble.begin):
        return None
    if tokens.kinds[index - 1] not in _VALUE_ENDS or tokens.starts_line(index, trouble.text):
        return None
    if "COMMA" in trouble.expected and tokens.kinds[index + 1] == "EQUAL":
        fix = insert(",", trouble.span(), tokens.ends[index - 1], "")
        findings.add("RS112", f"a comma is missing before `{trouble.word}`", trouble.span(), help=fix)
        return index
    findings.add(
        "RS112",
        f"an operator is missing before `{trouble.word}`",
        trouble.span(),
        others=[(trouble.span(index - 1), f"`{short(tokens.texts[index - 1])}` ends an expression")],
        help=_joined(tokens.kinds[index - 1], short(tokens.texts[index - 1]), tokens.ends[index - 1], trouble),
    )
    return index


def _joined(kind: str, left: str, end: int, trouble: Trouble) -> Fix | str:
    """How the token and the one before it, of `kind` and up to `end`, can be put together."""
    kinds = {kind, trouble.kind}
    sign = "|" if kinds == {"NAME"} else "*" if kinds == {"NAME", "NUMBER"} else ""
    if sign:
        return insert(f" {sign}", trouble.span(), end, f"write `{left} {sign} {trouble.word}`")
    return "`|` pipes, `+` adds, `*` multiplies"


def _unexpected(findings: Findings, trouble: Trouble) -> int:
    findings.add(
        "RS101", f"unexpected {trouble.found()}", trouble.span(), f"expected {trouble.wanted()}", help=_advice(trouble)
    )
    return trouble.index


def _advice(trouble: Trouble) -> Fix | str | None:
    kind, tokens = trouble.kind, trouble.tokens
    statement = {tokens.kinds[at] for at in range(trouble.begin, trouble.index)}
    if kind in COMPARATORS and statement & COMPARATORS:
        return "comparisons do not chain: write `a <= b and b <= c`"
    if kind == "EQUAL" and "EQUALS" in trouble.expected:
        return Fix("`==` compares, `=` names", (Edit(trouble.span(), "=="),))
    if kind == "EQUALS" and "EQUAL" in trouble.expected:
        return Fix("`=` names, `==` compares", (Edit(trouble.span(), "="),))
    if kind == "EQUAL" and trouble.index == trouble.begin + 1 and tokens.kinds[trouble.begin] == "NAME":
        return "a policy is its name and its value, without `=`; `let` names a number, `op` an operation"
    if kind == "CLOSED" and tokens.starts_line(trouble.index, trouble.text):
        return "`closed` stands on the line of the `}` it belongs to"
    if kind == "CLOSED" and "COMBINE" in statement:
        return "inside an expression a choice with its `closed` stands in parentheses"
    if kind == "RANGE":
        return "a range stands behind `axis`, `for` or in square brackets"
    if kind in ("LPAR", "LSQB") and tokens.kinds[trouble.index - 1] in _VALUE_ENDS:
        return "only a name can be called or indexed"
    return None


_RULES: tuple[Callable[[Findings, Trouble], int | None], ...] = (
    _bad_token,
    _unclosed,
    _unopened,
    _beside_misnamed,
    _unfinished,
    _reserved,
    _side_by_side,
)


def misspelled(findings: Findings, span: Span, text: str, word: str) -> None:
    fix = Fix(f"did you mean `{word}`?", (Edit(span, word),))
    findings.add("RS101", f"unexpected `{text}`", span, "not a word of the language", help=fix)


def too_long(findings: Findings, path: str, what: str, limit: int) -> None:
    findings.add("RS107", f"this text {what}; the limit is {limit}", Span(path, 0, 0))


def too_nested(findings: Findings, path: str, offset: int) -> None:
    findings.add("RS105", f"more than {MAX_NESTING} brackets are open here", Span(path, offset, offset + 1))


def too_deep(findings: Findings, span: Span) -> None:
    findings.add(
        "RS106",
        f"an expression in this statement is more than {MAX_DEPTH} operations deep",
        span,
        help="name a part of it with `let` or `op`; `+` and `|` may be as long as you like",
    )


def too_many(findings: Findings, span: Span, limit: int) -> None:
    findings.add("RS113", f"more than {limit} syntax errors: reading stopped here", span)
