"""The layering of the package, read from its imports; and that checking a file does not load torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "routespace"

ROOMS = {
    "files": set(),
    "memory": set(),
    "plain_json": set(),
    "diagnostics": set(),
    "space": {"diagnostics", "plain_json"},
    "language": {"diagnostics", "files", "plain_json", "space"},
    "graph": {"diagnostics", "plain_json", "space"},
    "questions": {"diagnostics", "graph", "plain_json", "space"},
    "runtime": {"diagnostics", "space"},
    "targets": {"graph"},
    "modules": {"graph", "runtime", "space"},
    "graph_module": {"runtime"},
    "emit": {"graph", "graph_module", "modules", "runtime", "space", "targets"},
    "compiler": {"emit", "graph", "runtime", "space", "targets"},
    "budgets": {"compiler", "modules", "graph", "runtime", "space"},
    "pruning": {"compiler", "emit", "graph", "graph_module", "runtime", "space", "targets"},
    "recording": {"alike", "compiler", "graph", "runtime"},
    "alike": {"graph", "runtime", "space"},
    "weights": {"compiler", "emit", "graph", "runtime"},
}
"""Each inner room and the rooms it may import; the others are the outer ring, which nothing inside imports."""

LIBRARIES = {
    "lark": {"language"},
    "pydantic": {"space"},
    "torch": {
        "runtime",
        "targets",
        "graph_module",
        "modules",
        "emit",
        "compiler",
        "budgets",
        "pruning",
        "recording",
        "alike",
        "weights",
        "testing",
        "integrations",
        "draw",
        "cli",
    },
    "torch.fx": {"emit", "compiler", "targets", "graph_module"},
    "typer": {"cli"},
    "rich": {"cli", "integrations", "testing"},
    "filelock": {"integrations"},
    "lightning": {"integrations"},
    "torchmetrics": {"integrations"},
    "torchvision": {"integrations"},
    "pycocotools": {"integrations"},
    "PIL": {"integrations"},
    "matplotlib": {"draw", "cli"},
    "hypothesis": {"testing"},
    "pytest": {"testing"},
}


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Modules a file imports, and whether at its top level (not in a function, not for typing only)."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, top: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append((node.module, top))
            found.extend((f"{node.module}.{alias.name}", top) for alias in node.names)
        inner = top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inner = False
        for child in ast.iter_child_nodes(node):
            visit(child, inner)

    visit(ast.parse(path.read_text("utf-8")), True)
    return found


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def crossings(rooms: dict[str, set[str]]) -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = room_of(path)
        if room not in rooms:
            continue
        for module, _ in imports_of(path):
            parts = module.split(".")
            if parts[0] == "routespace" and len(parts) > 1 and parts[1] != room and parts[1] not in rooms[room]:
                found.append(f"{path.relative_to(PACKAGE)} imports {module}")
    return found


def test_imports_go_one_way() -> None:
    assert crossings(ROOMS) == []


def test_a_crossing_would_be_seen() -> None:
    assert crossings({**ROOMS, "graph": set()})


def test_libraries_stay_in_their_rooms() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = room_of(path)
        for module, _ in imports_of(path):
            for library, rooms in LIBRARIES.items():
                if (module == library or module.startswith(f"{library}.")) and room not in rooms:
                    found.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert found == []


def test_one_file_reads_images() -> None:
    readers = [path.name for path in sorted(PACKAGE.rglob("*.py")) if "Image.open(" in path.read_text("utf-8")]
    assert readers == ["images.py"]


def loaded(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    ).stdout.strip()


def test_checking_does_not_load_torch() -> None:
    check = "import routespace as rs; rs.build(rs.load('examples/segmentation.route'))"
    assert loaded(check) == "False"
    assert loaded(f"{check}; rs.compile") == "True"


def test_the_pytest_plugin_does_not_load_torch() -> None:
    assert loaded("import routespace.testing.plugin, routespace.testing.marks") == "False"


def test_no_file_hides_a_public_verb() -> None:
    """A submodule called like a verb would replace it when something imports the file."""
    import routespace

    files = {path.stem for path in PACKAGE.glob("*.py")} | {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert files & set(routespace.__all__) == {"integrations"}


def test_the_shipped_table_is_that_of_the_grammar() -> None:
    from routespace.language.table_file import PATH, grammar_text, made

    assert PATH.read_bytes() == made(grammar_text()), "run `python -m routespace.language.table_file`"
