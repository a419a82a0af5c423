"""Open registries: what the names of a `.route` file stand for.

An entry holds everything the torch-free part of the compiler needs (signature, shape rule, cost rule, support) and
the *name* of the factory that makes the torch module, so that reading a registry never imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from routespace.diagnostics import did_you_mean
from routespace.space.shape import Cost, Shape

ArgKind: TypeAlias = Literal["integer", "number", "flag", "scale", "word"]
Args: TypeAlias = Mapping[str, Any]
Support: TypeAlias = "Literal['any', 'one', 'all'] | int"


class UnknownName(KeyError):
    """A name that is not registered."""

    def __str__(self) -> str:
        return str(self.args[0])


class BadArgument(ValueError):
    """Raised by a rule when an argument cannot mean anything; the compiler adds code and place.

    `about` names the parameters of the op that it is about, and `help` says what to write instead.
    """

    def __init__(self, problem: str, *about: str, help: str = "") -> None:
        super().__init__(problem)
        self.about, self.help = about, help


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a registered name. `required` ones have no default; a `flag` may be written as a bare name.

    An argument that may be split `by_mode` reaches the factory as a `ByMode` where it is.
    """

    name: str
    kind: ArgKind
    default: Any = None
    required: bool = False
    least: float | None = None
    most: float | None = None
    words: tuple[str, ...] = ()
    by_mode: bool = False


@dataclass(frozen=True, slots=True)
class ByMode:
    """An argument that has one value in training and another one in inference."""

    training: Any
    inference: Any


def _no_params(args: Args, channels: tuple[int, ...]) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class OpEntry:
    """An op: from input shapes (one, or several for a merge or a decoder) to an output shape.

    `shape(args, inputs)` and `cost(args, inputs, output)` are called with every argument filled in. `factory` names
    a callable as `"module:attribute"` (or is one), called with the channels of the inputs and the arguments:
    `factory(inputs: tuple[int, ...], **args) -> nn.Module`. `variadic` ops read an ordered list of streams.
    `statistics` is "batch" where the result in training depends on which images run together. `targets` marks ops
    whose module is called with the output size as a second argument. `window` gives (kernel, stride, dilation,
    padding) of the positions an output needs; None means all of them. `params(args, channels)` counts the trained
    numbers of the module for inputs of those channels; None where only the module itself can tell. An op that makes
    something else in training for another reason than batch statistics, noise for one, is not `same_in_training`.
    """

    name: str
    parameters: tuple[Parameter, ...]
    shape: Callable[[Args, tuple[Shape, ...]], Shape]
    cost: Callable[[Args, tuple[Shape, ...], Shape], Cost]
    factory: str | Callable[..., Any]
    variadic: bool = False
    statistics: Literal["batch"] | None = None
    targets: bool = False
    window: Callable[[Args], tuple[int, int, int, int]] | None = None
    identity: bool = False
    params: Callable[[Args, tuple[int, ...]], int] | None = _no_params
    same_in_training: bool = True

    @property
    def outside(self) -> bool:
        """Whether it was registered from outside, so that its module may be anything."""
        return callable(self.factory)

    @property
    def keeps_size(self) -> bool:
        """Whether its result surely has the size of its input."""
        return self.shape is _same_shape

    @property
    def opaque(self) -> bool:
        """Whether nothing is known of the positions it reads, so that what it is part of is computed whole."""
        known = self.window is not None or self.keeps_size
        return self.outside and (self.targets or self.statistics is not None or not known)


@dataclass(frozen=True, slots=True)
class ActivationEntry:
    """A gate activation δ.

    `range` of its weights, whether it can give exactly 0 (`closes`), which sets of routes it can open (`support`: any,
    always one, always all, or always a number of them, all where there are not more),
    whether openness is decided on the logit, and its torch factory: `factory(**args)` returns a module
    `logits (N, K) -> (weights (N, K), open (N, K) bool)`. `inverse(args, value)` is the logit that gives a weight.
    `straight_through`: its gradient is that of something smoother than its value, also where it is shut, as that of
    h + (s - s.detach()) is; else a shut route has none. Gates with such a one learn from shut routes (`gradient`).
    `same_in_training`: it decides alike in both modes.
    """

    name: str
    parameters: tuple[Parameter, ...]
    factory: str | Callable[..., Any]
    range: tuple[float, float]
    closes: bool
    support: Support = "any"
    inverse: Callable[[Args, float], float] | None = None
    straight_through: bool = False
    same_in_training: bool = True

    @property
    def gradient(self) -> Literal["all", "open"]:
        """Which routes teach a gate that does not say."""
        return "all" if self.straight_through else "open"

    def opens(self, routes: int) -> int | None:
        """How many of so many routes it always opens; None where that depends on the logits."""
        if self.support == "all" or not self.closes:
            return routes
        return None if self.support == "any" else min(1 if self.support == "one" else self.support, routes)


@dataclass(frozen=True, slots=True)
class MergeEntry:
    """A merge of streams: its shape rule, neutral element and factory (`factory()` → function of a list of tensors)."""

    name: str
    shape: Callable[[tuple[Shape, ...]], Shape]
    neutral: Literal["zero", "minus_infinity"]
    factory: str | Callable[..., Any]
    ordered: bool = False

    @property
    def outside(self) -> bool:
        """Whether it was registered from outside, so that it may do something to a single stream."""
        return callable(self.factory)


@dataclass(frozen=True, slots=True)
class BudgetEntry:
    """A budget: `loss(ratio, target)` of the ratio of expected to maximum cost; without `targeted` it has no target."""

    name: str
    loss: str | Callable[..., Any]
    targeted: bool = True


Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Names to entries, in order of registration; a name is given once."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry, *, replace: bool = False) -> None:
        """Register `entry`; a name already taken is an error unless `replace` is given."""
        if name in self._entries and not replace:
            raise ValueError(f"{self.kind} `{name}` is registered already")
        if not name.isidentifier():
            raise ValueError(f"`{name}` is not a name")
        self._entries[name] = entry

    def remove(self, name: str) -> None:
        del self._entries[name]

    def get(self, name: str) -> Entry | None:
        return self._entries.get(name)

    def __getitem__(self, name: str) -> Entry:
        """The entry of a name; `UnknownName` where there is none."""
        try:
            return self._entries[name]
        except KeyError:
            hint = did_you_mean(name, self._entries) or f"there are {', '.join(self._entries)}"
            raise UnknownName(f"there is no {self.kind} `{name}`; {hint}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)


OPS: Registry[OpEntry] = Registry("op")
ACTIVATIONS: Registry[ActivationEntry] = Registry("activation")
MERGES: Registry[MergeEntry] = Registry("merge")
BUDGETS: Registry[BudgetEntry] = Registry("budget")


def op(
    name: str,
    *,
    shape: Callable[[Args, tuple[Shape, ...]], Shape] | None = None,
    cost: Callable[[Args, tuple[Shape, ...], Shape], Cost] | None = None,
    parameters: tuple[Parameter, ...] = (),
    statistics: Literal["batch"] | None = None,
    variadic: bool = False,
    targets: bool = False,
    window: Callable[[Args], tuple[int, int, int, int]] | None = None,
    params: Callable[[Args, tuple[int, ...]], int] | None = None,
    same_in_training: bool = True,
    replace: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated factory as the op `name`; it then works in files, cost tables and all forms.

    The factory is called as `factory(inputs, **args)` with the channels of its inputs and returns an `nn.Module`.
    Without rules the op keeps its input's shape and is priced as one activation per element, and counts of parameters
    say that they leave it out.

    >>> @op("swish_demo")
    ... def swish_demo(inputs):
    ...     from torch import nn
    ...     return nn.SiLU()
    >>> "swish_demo" in OPS
    True
    >>> OPS.remove("swish_demo")
    """

    def register(factory: Callable[..., Any]) -> Callable[..., Any]:
        OPS.add(
            name,
            OpEntry(
                name,
                parameters,
                shape or _same_shape,
                cost or _per_element,
                factory,
                variadic=variadic,
                statistics=statistics,
                targets=targets,
                window=window,
                params=params,
                same_in_training=same_in_training,
            ),
            replace=replace,
        )
        return factory

    return register


def activation(
    name: str,
    *,
    range: tuple[float, float],
    closes: bool,
    support: Support = "any",
    parameters: tuple[Parameter, ...] = (),
    inverse: Callable[[Args, float], float] | None = None,
    straight_through: bool = False,
    same_in_training: bool = True,
    replace: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated factory as the gate activation `name`; see `ActivationEntry` for what it returns."""

    def register(factory: Callable[..., Any]) -> Callable[..., Any]:
        entry = ActivationEntry(
            name, parameters, factory, range, closes, support, inverse, straight_through, same_in_training
        )
        ACTIVATIONS.add(name, entry, replace=replace)
        return factory

    return register


def merge(
    name: str,
    *,
    neutral: Literal["zero", "minus_infinity"],
    shape: Callable[[tuple[Shape, ...]], Shape] | None = None,
    ordered: bool = False,
    replace: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function of a list of tensors as the merge `name`.

    `neutral` changes nothing where it is merged: a stream that is nothing may be left out or count as it, and both have
    to give the same. A merge that counts its streams, like a mean, has no neutral element: it is `ordered`, which keeps
    a place for what is nothing (zeros).
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        entry = MergeEntry(name, shape or _first_shape, neutral, lambda: function, ordered)
        MERGES.add(name, entry, replace=replace)
        return function

    return register


def budget(
    name: str, *, targeted: bool = True, replace: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function `(ratio, target) -> loss` (or `(ratio) -> loss`) as the budget `name`."""

    def register(loss: Callable[..., Any]) -> Callable[..., Any]:
        BUDGETS.add(name, BudgetEntry(name, loss, targeted), replace=replace)
        return loss

    return register


def _first_shape(inputs: tuple[Shape, ...]) -> Shape:
    return inputs[0]


def _same_shape(args: Args, inputs: tuple[Shape, ...]) -> Shape:
    return inputs[0]


def _per_element(args: Args, inputs: tuple[Shape, ...], output: Shape) -> Cost:
    return Cost(activation=output.elements)
