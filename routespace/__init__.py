"""routespace: a declarative language for neural routing spaces and the compiler that lowers it to PyTorch.

The public verbs. Importing this package does not import torch; the first verb that needs it does.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routespace import integrations
    from routespace.budgets import budget_loss
    from routespace.compiler import compile, graph_of
    from routespace.diagnostics import RouteError
    from routespace.graph.build import build
    from routespace.graph.ir import RouteGraph
    from routespace.language.format import format_text as format
    from routespace.pruning import prune
    from routespace.reading import load, loads
    from routespace.recording import AlikeWarning, record
    from routespace.runtime.control import forcing, freeze, replaying
    from routespace.runtime.errors import GateError, InputError, WeightsError
    from routespace.runtime.result import Cost, Outcome, Routing
    from routespace.runtime.sparse_maps import exactly
    from routespace.runtime.wrapped import refresh
    from routespace.space.conventions import Convention, convention
    from routespace.space.model import Space
    from routespace.space.registry import Parameter, activation, budget, merge, op
    from routespace.space.shape import Shape
    from routespace.weights import Loaded, load_weights

_HOMES = {
    "AlikeWarning": "routespace.recording",
    "Convention": "routespace.space.conventions",
    "Cost": "routespace.runtime.result",
    "GateError": "routespace.runtime.errors",
    "InputError": "routespace.runtime.errors",
    "Loaded": "routespace.weights",
    "Outcome": "routespace.runtime.result",
    "Parameter": "routespace.space.registry",
    "RouteError": "routespace.diagnostics",
    "RouteGraph": "routespace.graph.ir",
    "Routing": "routespace.runtime.result",
    "Shape": "routespace.space.shape",
    "Space": "routespace.space.model",
    "WeightsError": "routespace.runtime.errors",
    "activation": "routespace.space.registry",
    "budget": "routespace.space.registry",
    "budget_loss": "routespace.budgets",
    "build": "routespace.graph.build",
    "compile": "routespace.compiler",
    "convention": "routespace.space.conventions",
    "exactly": "routespace.runtime.sparse_maps",
    "forcing": "routespace.runtime.control",
    "format": "routespace.language.format",
    "freeze": "routespace.runtime.control",
    "graph_of": "routespace.compiler",
    "load": "routespace.reading",
    "load_weights": "routespace.weights",
    "loads": "routespace.reading",
    "merge": "routespace.space.registry",
    "op": "routespace.space.registry",
    "prune": "routespace.pruning",
    "record": "routespace.recording",
    "refresh": "routespace.runtime.wrapped",
    "replaying": "routespace.runtime.control",
}

__all__ = [
    "AlikeWarning",
    "Convention",
    "Cost",
    "GateError",
    "InputError",
    "Loaded",
    "Outcome",
    "Parameter",
    "RouteError",
    "RouteGraph",
    "Routing",
    "Shape",
    "Space",
    "WeightsError",
    "activation",
    "budget",
    "budget_loss",
    "build",
    "compile",
    "convention",
    "exactly",
    "example",
    "forcing",
    "format",
    "freeze",
    "graph_of",
    "integrations",
    "load",
    "load_weights",
    "loads",
    "merge",
    "op",
    "prune",
    "record",
    "refresh",
    "replaying",
]

__version__ = "0.1.0"


def example(name: str) -> Path:
    """Path of the example space `name` that comes with the package.

    >>> example("segmentation").name
    'segmentation.route'
    """
    folder = Path(__file__).parent / "examples"
    known = sorted(path.stem for path in folder.glob("*.route"))
    if name not in known:
        raise KeyError(f"there is no example `{name}`; there are {', '.join(known)}")
    return folder / f"{name}.route"


def __getattr__(name: str) -> Any:
    if name == "integrations":
        return import_module("routespace.integrations")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module `routespace` has no attribute `{name}`")
    found = getattr(import_module(home), "format_text" if name == "format" else name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
