"""The pytest plugin behind `@routespace_laws`. Loading it imports neither torch nor the rest of the kit."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from routespace.space.model import Space

MARK = "routespace_laws"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("routespace")
    group.addoption(
        "--routespace-out", metavar="FOLDER", default="fuzz", help="where cases that break laws are kept (fuzz)"
    )
    group.addoption(
        "--routespace-examples", metavar="N", type=int, default=None, help="cases for each law, whatever tests say"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}(path): ask the laws of the space in this .route file")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker(MARK)
    if mark is None:
        return
    if "law" not in metafunc.fixturenames:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: a test of `{MARK}` has an argument `law` and calls it")
    from routespace.graph.build import build
    from routespace.testing.fuzzing.ask import laws_of

    space = _space(_path(mark, metafunc.definition), mark)
    known = tuple(laws_of(build(space)))
    names = known if mark.kwargs["laws"] is None else tuple(mark.kwargs["laws"])
    for name in names:
        if name not in known:
            raise pytest.UsageError(f"{metafunc.definition.nodeid}: the space is not asked the law `{name}`")
    metafunc.parametrize("law", names, indirect=True, ids=[name.replace(" ", "-") for name in names])


@pytest.fixture
def law(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Asks the law of this test of the space of its mark."""
    mark = request.node.get_closest_marker(MARK)
    if mark is None:
        raise pytest.UsageError(f"the fixture `law` belongs to tests marked by `{MARK}`")
    path, name = _path(mark, request.node), request.param

    def ask() -> None:
        __tracebackhide__ = True
        problem = broken(_space(path, mark), name, mark.kwargs, request.config)
        if problem is not None:
            pytest.fail(problem, pytrace=False)

    return ask


def broken(space: Space, name: str, told: dict[str, Any], config: pytest.Config) -> str | None:
    """What to say where the law is broken, after the case was made small and kept, or could not be asked; None where it
    holds."""
    from routespace.testing.fuzzing import fuzz, imports_of, keep

    examples = config.getoption("--routespace-examples") or told["examples"]
    verdict = fuzz(space, examples=examples, seconds=float("inf"), seed=told["seed"], laws=[name])
    found = verdict.found
    if found is None:
        return verdict.ended
    folder = Path(config.getoption("--routespace-out")) / re.sub(r"\W+", "-", f"{space.name}-{name}")
    keep(found.broken, found.case, folder)
    again = f"routespace {imports_of(found.case.graph)}fuzz --replay {folder}"
    return f"{found.broken.message}\n\n{found.case.text}\nagain with: {again}"


def _path(mark: pytest.Mark, item: Any) -> Path:
    return Path(item.path).parent.joinpath(mark.args[0])


def _space(path: Path, mark: pytest.Mark) -> Space:
    return _loaded(path, tuple(sorted(mark.kwargs["settings"].items())))


@lru_cache(maxsize=8)
def _loaded(path: Path, settings: tuple[tuple[str, Any], ...]) -> Space:
    from routespace.language.load import load

    return load(path, **dict(settings))
