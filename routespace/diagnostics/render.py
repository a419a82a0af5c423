"""Findings as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from routespace.diagnostics.diagnostic import Diagnostic, Edit, Label
from routespace.diagnostics.escape import escaped, escaped_lines
from routespace.diagnostics.snippet import Mark, Paint, marks_of, snippet
from routespace.diagnostics.source import Source, Span

_STYLES = {
    "error": "1;31",
    "warning": "1;33",
    "message": "1",
    "gutter": "1;34",
    "^": "1;31",
    "-": "1;34",
    "help": "1;36",
    "note": "1;36",
}


def render(diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source], color: bool = False) -> str:
    """A report: each finding with the lines it is about, and a count at the end. Empty without findings.

    >>> print(render([Diagnostic("RS101", "unexpected `)`")], {}))
    error[RS101]: unexpected `)`
    <BLANKLINE>
    1 error
    """
    paint = _painted if color else _plain
    shown = list(diagnostics)
    blocks = ["\n".join(_report(one, sources, paint)) for one in shown]
    return "\n\n".join([*blocks, _count(shown)]) if blocks else ""


def to_json(diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source]) -> str:
    """A list of objects with `code`, `severity`, `message`, `labels`, `notes`, `help` and `fixes`.

    Lines and columns count from 1, ends are exclusive; they are null where a label has no place in `sources`. A fix is
    a `text` and its `edits`, each a place and the `replacement` of what stands there; all of them together do it.
    """
    found = [
        {
            "code": one.code,
            "severity": one.severity,
            "message": one.message,
            "labels": [_json_label(label, sources) for label in one.labels],
            "notes": list(one.notes),
            "help": one.help,
            "fixes": [{"text": one.help or one.message, "edits": [_json_edit(edit, sources) for edit in one.edits]}]
            if one.edits
            else [],
        }
        for one in diagnostics
    ]
    return json.dumps(found, indent=2, ensure_ascii=False)


def _json_label(label: Label, sources: Mapping[str, Source]) -> dict[str, object]:
    return {**_json_place(label.span, sources), "text": label.text}


def _json_edit(edit: Edit, sources: Mapping[str, Source]) -> dict[str, object]:
    return {**_json_place(edit.span, sources), "replacement": edit.text}


def _json_place(span: Span | None, sources: Mapping[str, Source]) -> dict[str, object]:
    source = sources.get(span.path) if span else None
    line, column = source.position(span.start) if span and source else (None, None)
    end_line, end_column = source.position(span.end) if span and source else (None, None)
    return {
        "path": span.path if span else None,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _report(one: Diagnostic, sources: Mapping[str, Source], paint: Paint) -> Iterator[str]:
    yield f"{paint(f'{one.severity}[{one.code}]', one.severity)}{paint(f': {escaped_lines(one.message)}', 'message')}"
    path_to_marks, placeless = _placed(one, sources)
    margin = max((len(str(mark.line)) for marks in path_to_marks.values() for mark in marks), default=1)
    for number, (path, marks) in enumerate(path_to_marks.items()):
        arrow = paint(" " * margin + ("-->" if number == 0 else ":::"), "gutter")
        yield f"{arrow} {escaped(path)}:{marks[0].line}:{marks[0].start + 1}"
        yield from snippet(sources[path], marks, margin, paint)
    for label in placeless:
        place = f"{escaped(label.span.path)}: " if label.span else ""
        if place or label.text:
            yield _remark(place + label.text, "note", margin, paint)
    for note in one.notes:
        yield _remark(note, "note", margin, paint)
    if one.help:
        yield _remark(one.help, "help", margin, paint)


def _placed(one: Diagnostic, sources: Mapping[str, Source]) -> tuple[dict[str, list[Mark]], list[Label]]:
    """The marks of each file, that of the first label first, and the labels that no text is at hand for."""
    path_to_marks: dict[str, list[Mark]] = {}
    placeless: list[Label] = []
    for number, label in enumerate(one.labels):
        if label.span is None or label.span.path not in sources:
            placeless.append(label)
            continue
        marks = marks_of(sources[label.span.path], label.span, label.text, "^" if number == 0 else "-")
        path_to_marks.setdefault(label.span.path, []).extend(marks)
    return path_to_marks, placeless


def _remark(text: str, kind: str, margin: int, paint: Paint) -> str:
    first, *rest = escaped_lines(text).split("\n")
    head = f"{' ' * margin} {paint('=', 'gutter')} {paint(kind, kind)}: {first}".rstrip()
    return "\n".join([head, *(" " * (margin + 5 + len(kind)) + line for line in rest)])


def _count(diagnostics: list[Diagnostic]) -> str:
    counts = [(kind, sum(1 for one in diagnostics if one.severity == kind)) for kind in ("error", "warning")]
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts if count)


def _plain(text: str, style: str) -> str:
    return text


def _painted(text: str, style: str) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"
