"""RS1: the text cannot be read, or goes beyond a limit."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "RS101",
        "unexpected word or sign",
        "The grammar does not allow this word or sign here; the label says what it allows. A word that is nearly one\n"
        "of the language is read as that one, so that the rest of the statement is checked too. The statement is\n"
        "skipped otherwise, and reading goes on behind it.",
        "space s {\n  input image 3\n}\n",
    ),
    Entry(
        "RS102",
        "character that is not of the language",
        "Outside of comments and of paths in quotes a text consists of ASCII letters, digits, `_`, blanks and the\n"
        "signs of the grammar.",
        "space s {\n  let größe = 3\n}\n",
    ),
    Entry(
        "RS103",
        "bracket that is never closed",
        "A bracket is opened, and its statement or the text ends before it is closed. Inside `(` and `[` line ends do\n"
        "not count; behind a bracket that is never closed they do, so that the next statement is read for itself.",
        "op block = conv(3, 1\nop other = relu\n",
    ),
    Entry(
        "RS104",
        "bracket that closes nothing",
        "There is a `)`, `]` or `}` too many, or the bracket that it was to close was closed before.",
        "op block = conv(3, 1)) | relu\n",
    ),
    Entry(
        "RS105",
        "too many brackets inside each other",
        "At most 64 brackets can be open at once. Name inner parts with `let` or `op`.",
        "op block = " + "(" * 65 + "relu" + ")" * 65 + "\n",
    ),
    Entry(
        "RS106",
        "expression that is too deep",
        "Operations may be at most 100 deep: `a - b - c` is 2 deep, since the second takes the result of the first.\n"
        "`+` and `|` take any number of parts at once and do not count. Name a part with `let` or `op`.",
        "space s {\n  let a = " + "not " * 101 + "yes\n}\n",
    ),
    Entry(
        "RS107",
        "text that is too long",
        "A text has at most 4 194 304 characters, and at most 250 000 words, numbers, signs, ends of lines and blanks\n"
        "between them. Spaces grow through axes and parameters, not through text.",
        "# " + "long " * 3 + "…\n",
    ),
    Entry(
        "RS108",
        "number that is too long or too large",
        "A whole number has at most 1000 digits, and a decimal one is below 1.8e308.",
        "space s {\n  let a = 1e999\n}\n",
    ),
    Entry(
        "RS109",
        "quote that does not begin a text in quotes",
        'The only texts in quotes are the paths behind `from`: between two `"`, on one line.',
        'from "library.route import norm\n',
    ),
    Entry(
        "RS110",
        "word of the language used as a name",
        "A word like `input` or `node` begins a statement and cannot be a name; it may name an argument, as in\n"
        "`resize(by = 1/4)`.",
        "space s {\n  let node = 3\n}\n",
    ),
    Entry(
        "RS111",
        "statement that is not finished",
        "The line, the block or the text ends where something has to follow. A statement goes on in the next line\n"
        "inside `(` and `[`, behind an operator, a comma, `=` or `:`, and where the next line begins with `|`, `+`\n"
        "or `else`.",
        "op block = conv(3, 1) |\nop other = relu\n",
    ),
    Entry(
        "RS112",
        "two expressions without an operator between them",
        "Nothing is meant by standing side by side: write `2 * width`, `conv(1) | relu`, `f(a, b)`.",
        "space s {\n  let a = 2 width\n}\n",
    ),
    Entry(
        "RS113",
        "too many syntax errors",
        "More than 40 syntax errors were found. The text is probably not a `.route` file; what stands behind the last\n"
        "error was not looked at.",
        "space s {\n" + "  let = 1\n" * 42 + "}\n",
    ),
    Entry(
        "RS114",
        "name that is too long",
        "A name has at most 200 characters.",
        "op " + "long_" * 50 + " = relu\n",
    ),
)
