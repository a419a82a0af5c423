"""The examples in the package's docstrings are run, each module's by themselves, from the root of the project."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from routespace.integrations.vision import load_torchvision

ROOT = Path(__file__).parents[2]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules() -> list[str]:
    """Modules of the package with an example in them."""
    files = [path for path in sorted(ROOT.glob("routespace/**/*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if load_torchvision() is None and ".torchvision" in name:
        pytest.skip("needs the extra `detection`")
    module = import_module(name)
    monkeypatch.chdir(ROOT)
    tests = [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]
    assert tests, "an example of no docstring that doctest finds"
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in tests:
        runner.run(test, out=told.append)
    assert runner.failures == 0, "".join(told)
