"""The analysed grammar as it is shipped beside this file: a digest, and the table as JSON.

`python -m routespace.language.table_file` writes it after the grammar was changed.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from routespace.files import read_file, write_atomically

PATH = Path(__file__).with_name("route.table")
MOST_BYTES = 2**20
START = "file"


def grammar_text() -> str:
    return (Path(__file__).parent.parent / "grammars" / "route.lark").read_text(encoding="utf-8")


def shipped(grammar: str) -> dict[str, Any] | None:
    """The table that is shipped; None where it was made of another grammar, or is not as it was written."""
    try:
        digest, _, text = read_file(PATH, MOST_BYTES).partition(b"\n")
    except OSError:
        return None
    if digest != _digest(grammar, text):
        return None
    found: dict[str, Any] = json.loads(text)
    return found


def made(grammar: str) -> bytes:
    """What is to be shipped for `grammar`."""
    from routespace.language.lalr import analyse

    parts = [f"{json.dumps(name)}: {_lines(value)}" for name, value in analyse(grammar, START).items()]
    text = ("{\n" + ",\n".join(parts) + "\n}\n").encode()
    return _digest(grammar, text) + b"\n" + text


def _lines(value: Any) -> str:
    """A list with a line for each item, so that changes can be read."""
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in value) + "\n]"


def _digest(grammar: str, text: bytes) -> bytes:
    return sha256(sha256(grammar.encode()).digest() + text).hexdigest().encode()


if __name__ == "__main__":
    write_atomically(PATH, made(grammar_text()))
