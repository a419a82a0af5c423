"""Names and texts of others, as they can be shown in a message."""

from __future__ import annotations


def escaped(name: object) -> str:
    """`str(name)` with what cannot be shown in one line as Python writes it: ends of lines, control characters, marks
    of direction, bytes of file names that are no text.

    >>> print(escaped("a\\nb.route"), escaped("\\udcff.png"), escaped("é.png"))
    a\\nb.route \\xff.png é.png
    """
    text = str(name)
    return text if text.isprintable() else "".join(map(_escape, text))


def quoted(name: object) -> str:
    """The name as messages quote it."""
    return f"`{escaped(name)}`"


def escaped_lines(text: str) -> str:
    """A text of several lines, each as `escaped` shows it."""
    return text if text.isprintable() else "\n".join(map(escaped, text.split("\n")))


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else char.encode("unicode_escape").decode()
