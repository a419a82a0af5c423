"""What is kept of a failure: a folder that a stranger can read, and one command can run again.

`space.route` is the smallest space found, `case.json` the law it breaks with the numbers that weights and images are
made of, `gates.json` what its gates decide in the dense form (null where that cannot run, or not in time).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from routespace.files import read_file, write_atomically
from routespace.graph.ir import Gate, Merge, RouteGraph
from routespace.integrations.fault import fault
from routespace.plain_json import MOST_BYTES, read_json
from routespace.space.registry import ACTIVATIONS, MERGES, OPS
from routespace.testing.cases import Case
from routespace.testing.fuzzing.ask import Broken, all_laws, ask, laws_of, subject_of
from routespace.testing.fuzzing.clock import Clock, within
from routespace.testing.oracle.sizes import leaf_paths, op_of

SPACE, CASE, GATES = "space.route", "case.json", "gates.json"
NUMBERS = {"weight_seed": int, "tilt": float, "batch": int, "height": int, "width": int, "image_seed": int}
MOST = {"batch": 64, "height": 4096, "width": 4096}
VERSION = 1

Gates = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Kept:
    """A failure as it was kept: the law, its message, the case, and what the gates decided."""

    law: str
    message: str
    case: Case
    gates: Gates | None


@dataclass(frozen=True)
class Again:
    """A kept failure run again: how the law is broken now, None where it holds; nodes whose gates decide otherwise."""

    broken: Broken | None
    otherwise: tuple[str, ...]


def imports_of(graph: RouteGraph) -> str:
    """Options of `routespace` that import the modules in which the gates, ops and merges of a space were registered."""
    found: dict[str, None] = {}
    for factory in _factories(graph):
        if callable(factory):
            found[str(getattr(factory, "__module__", ""))] = None
    return "".join(f"--import {module} " for module in found if module)


def _factories(graph: RouteGraph) -> Iterator[Any]:
    for value in graph.values:
        named = op_of(value)
        if isinstance(value, Gate):
            yield ACTIVATIONS[value.activation].factory
        if named is not None:
            yield from (OPS[leaf.entry].factory for _, leaf in leaf_paths("", named[1]))
        if isinstance(value, Merge):
            factory = MERGES[value.kind].factory
            yield factory() if callable(factory) else factory


def keep(broken: Broken, case: Case, folder: Path, seconds: float = math.inf) -> Kept:
    """Write a failure into `folder`, which is made where there is none. Raises `OSError`.

    What gates decide is left out where finding it takes longer than `seconds`.
    """
    decided: list[Gates | None] = [None]
    within(Clock(seconds), lambda: decided.append(decisions(case)))
    kept = Kept(broken.law, broken.message, case, decided[-1])
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {name: getattr(case, name) for name in NUMBERS}
    told = {"version": VERSION, "law": kept.law, "message": kept.message, **numbers}
    write_atomically(folder / SPACE, case.text)
    write_atomically(folder / CASE, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    write_atomically(folder / GATES, json.dumps(kept.gates, indent=2) + "\n")
    return kept


def decisions(case: Case) -> Gates | None:
    """Weights of every route by node, one for each image (maps per position), None where it is not reached."""
    try:
        weights = subject_of(case).outcome("dense").routing.weights
    except Exception:
        return None
    return {
        node: {route: _plain(weight.tolist()) for route, weight in routes.items()} for node, routes in weights.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if math.isfinite(value) else None


def read_kept(folder: Path) -> Kept:
    """The failure kept in `folder`. Raises `RouteError` (RS952) where there is none that can be read."""
    texts: dict[str, str] = {}
    for name in (SPACE, CASE, GATES):
        try:
            texts[name] = read_file(folder / name, MOST_BYTES).decode("utf-8")
        except FileNotFoundError:
            raise fault("RS952", f"`{folder / name}` is missing", help=f"`{folder}` is no folder of `fuzz`") from None
        except (OSError, UnicodeDecodeError) as error:
            raise fault("RS952", f"`{folder / name}` cannot be read: {getattr(error, 'strerror', error)}") from None
    told, gates = _json(folder / CASE, texts[CASE]), _json(folder / GATES, texts[GATES])
    if not isinstance(told, dict) or told.get("version") != VERSION:
        raise fault("RS952", f"`{folder / CASE}` is not a case of version {VERSION}")
    if told.get("law") not in all_laws():
        raise fault("RS952", f"`{folder / CASE}` names the law `{told.get('law')}`, which there is not")
    if not (gates is None or (isinstance(gates, dict) and all(isinstance(one, dict) for one in gates.values()))):
        raise fault("RS952", f"`{folder / GATES}` does not say `{{node: {{route: weights}}}}`")
    case = Case(texts[SPACE], **{name: _number(folder, told, name, kind) for name, kind in NUMBERS.items()})
    return Kept(told["law"], str(told.get("message", "")), case, gates)


def _json(path: Path, text: str) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise fault("RS952", f"`{path}` is not JSON: {error}") from None


def _number(folder: Path, told: dict[str, Any], name: str, kind: type) -> Any:
    value: Any = told.get(name)
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and (kind is float or isinstance(value, int))
    if not fits or not math.isfinite(value) or (kind is int and not 0 <= value <= MOST.get(name, 2**40)):
        raise fault("RS952", f"`{folder / CASE}` says `{name}` is {value!r}")
    return value


def replay(kept: Kept) -> Again:
    """Ask the law of a kept failure again. Raises `RouteError` where its space does not build any more."""
    law = laws_of(kept.case.graph).get(kept.law)
    if law is None:
        raise fault("RS952", f"this space is not asked the law `{kept.law}`")
    broken = ask(kept.law, law, subject_of(kept.case))
    return Again(broken, _otherwise(kept.gates, decisions(kept.case)))


def _otherwise(before: Gates | None, now: Gates | None) -> tuple[str, ...]:
    """Nodes whose recorded weights differ."""
    if before is None or now is None:
        return () if before is now else ("all",)
    return tuple(node for node in sorted({*before, *now}) if not _alike(before.get(node), now.get(node)))


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    try:
        first, second = (torch.tensor(_nan(x), dtype=torch.float64) for x in (one, other))
    except (TypeError, ValueError):
        return False
    return first.shape == second.shape and _near(first, second)


def _nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_nan(one) for one in value]
    return math.nan if value is None else value


def _near(first: Tensor, second: Tensor) -> bool:
    return bool(torch.allclose(first, second, rtol=1e-6, atol=1e-9, equal_nan=True))
