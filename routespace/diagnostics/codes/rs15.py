"""RS15: files, imports, and spaces that do not come from a text."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "RS150",
        "value that is not a space",
        "A space that was read from JSON or made in Python says something that no text could say: a field that does\n"
        "not exist or has another type, a name that is none, a number that is not finite, an expression that is too\n"
        "deep, or parameters that are not those of the declaration. The message names the field. `Space.to_json`\n"
        "writes what `Space.from_json` reads, and `json_schema()` describes it.",
        '{"declaration": {"name": "a b", "params": [], "body": []}}\n',
    ),
    Entry(
        "RS151",
        "file that cannot be read",
        "The file is missing, is no plain file, is not UTF-8, or is larger than 4 MiB; no more is read of standard\n"
        "input either. The path of an import is relative to the file that imports, has at most 1000 characters, and\n"
        "leads to a file whose name ends in `.route`, below the folder of the file that was loaded first, or below\n"
        "the working directory where that file is in it. Another root is named by `root = ...` from Python, by\n"
        "`--root` on the command line, or by a file `.route-root` in it.",
        'from "not_there.route" import norm\n',
    ),
    Entry(
        "RS152",
        "import of an absolute path",
        "Paths are relative to the file that imports, so that a folder of files can be moved and shared.",
        'from "/home/me/library.route" import norm\n',
    ),
    Entry(
        "RS153",
        "file that imports itself",
        "The file imports itself, directly or through the files that the note lists. Move what both need into a\n"
        "third file.",
        '# a.route\nfrom "b.route" import down\n# b.route\nfrom "a.route" import up\n',
    ),
    Entry(
        "RS154",
        "import of a name that the file does not declare",
        "The imported file has no space, net, op or gate of this name at its top level. What is declared inside a\n"
        "space cannot be imported: move it beside the space.",
        'from "library.route" import nrom\n',
    ),
    Entry(
        "RS155",
        "space that has to be chosen",
        "The file has several spaces, or none of the name that was asked for. Name one: `load(path, space = ...)`,\n"
        "or `--space` on the command line.",
        "space a {\n  input image: 3\n  output y = image | relu\n}\n\n"
        "space b {\n  input image: 3\n  output y = image | relu\n}\n",
    ),
    Entry(
        "RS156",
        "file without a space",
        "A file that is loaded declares or imports a space. A file of ops and nets alone can be imported and\nchecked.",
        "op norm = batchnorm\n",
    ),
    Entry(
        "RS157",
        "too many imports",
        "Imports may lead through 100 files in a row and through 1000 in all, those that could not be read included,\n"
        "which have 4 194 304 characters together, and say 10 000 different paths.",
        'from "file_101.route" import norm\n',
    ),
)
