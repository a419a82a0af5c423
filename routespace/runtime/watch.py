"""What is derived of a module stands for it while the module is no more than its parameters, and these are unchanged.

Hooks, parametrizations, a `forward` of its own, parts that were put in the place of others: a module that has such is
run as it stands, whatever would be faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import attrgetter, is_, itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks
from torch.utils.module_tracker import ModuleTracker

from routespace.runtime.frame import Frame
from routespace.runtime.layers import BatchNorm
from routespace.runtime.tree import BesideOp, ChainOp, Tree, every

T = TypeVar("T")

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_NOTE = "_made_as"
_HARMLESS = {"train", "eval"}
"""Methods that a module may have of its own and be called as its class is."""
_FORWARD, _VERSION, _GRADIENT = attrgetter("forward"), attrgetter("_version"), attrgetter("grad")
_DISTURBED = itemgetter("training", *_HOOKS)
_NUMBERS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Conv2d: ("stride", "padding", "dilation", "groups", "padding_mode"),
    BatchNorm: ("eps",),
    nn.ReLU: (),
    ChainOp: (),
    BesideOp: (),
}
"""What calls read of an instance beside tensors; all that is public of other classes."""


class Made(NamedTuple):
    """A module as the compiler made it: its class, what that does, and the names of its parts."""

    kind: type[nn.Module]
    forward: Callable[..., Any]
    names: frozenset[str]


def note(op: nn.Module) -> None:
    """Note on every part of an op what it is now, so that `is_plain` knows what was added to it or put in its place."""
    for part in op.modules():
        setattr(part, _NOTE, _made(part))


def _made(part: nn.Module) -> Made:
    kind = type(part)
    return Made(kind, kind.forward, frozenset(chain(part._modules, part._parameters, part._buffers)))


def is_plain(op: nn.Module) -> bool:
    """Whether calling an op does what the classes of its parts do in inference with its parameters, and no more."""
    return not _is_watched() and all(map(_is_plain, every(op)))


def _is_watched() -> bool:
    """Whether hooks of all modules want to see calls. Those by which torch counts operations, whoever asks for them
    (`FlopCounterMode`), do not: they would count other work than is done without them."""
    if not (_global_forward_hooks or _global_forward_pre_hooks):
        return False
    hooks = chain(_global_forward_hooks.values(), _global_forward_pre_hooks.values())
    return any(not isinstance(getattr(hook, "__self__", None), ModuleTracker) for hook in hooks)


def _is_plain(part: nn.Module) -> bool:
    if part.training or part._forward_hooks or part._forward_pre_hooks:
        return False
    if part.__dict__.get(_NOTE) != _made(part) or part.__dict__.keys() & _own_methods(part):
        return False
    held = (one for one in chain(part._parameters.values(), part._buffers.values()) if one is not None)
    lost = type(part) is BatchNorm and part.running_mean is None
    return not lost and all(map(_is_usual, {type(one) for one in held}))


def _is_usual(kind: type[Tensor]) -> bool:
    """Whether tensors of a class compute as tensors do."""
    own = kind.__mro__[: kind.__mro__.index(Tensor)]
    return kind is nn.Parameter or not any(
        {"__torch_function__", "__torch_dispatch__"} & vars(one).keys() for one in own
    )


def _own_methods(part: nn.Module) -> set[str]:
    """What a module calls differently from its class."""
    kind = type(part)
    own = (name for name, value in part.__dict__.items() if callable(value) and hasattr(kind, name))
    return set(own) - _HARMLESS


class Kept(Generic[T]):
    """What `make` derives of an op, made anew when the op changes."""

    def __init__(self, make: Callable[[nn.Module], T]) -> None:
        self.make = make
        self.state: tuple[Watch, int, T] | None = None

    def get(self, op: nn.Module, frame: Frame) -> T | None:
        """What is derived of `op` as it is in this call; None where `op` itself has to be run: gradients are recorded,
        or it is more than its parameters."""
        if torch.is_grad_enabled():
            return None
        if self not in frame.derived:
            frame.derived[self] = self._now(op, frame.blanks.epoch)
        return frame.derived[self]  # type: ignore[return-value]

    def _now(self, op: nn.Module, epoch: int) -> T | None:
        state = self.state
        if state is not None and state[1] == epoch and state[0].unchanged(op):
            return state[2]
        if not is_plain(op):
            return None
        watch = Watch(op)  # before, so that what another thread writes meanwhile is noticed later
        with torch.no_grad():
            made = self.make(op)
        self.state = watch, epoch, made
        return made

    def __deepcopy__(self, memo: dict[int, object]) -> Kept[T]:
        return Kept(self.make)


class Watch:
    """Tells whether a plain op is so no longer, or a tensor, a part or a number of it was replaced, moved or written.

    Every call of every op asks, so this is C functions over flat lists: Python code would take ten times as long.
    """

    def __init__(self, op: nn.Module) -> None:
        self.op = op
        self.parts = list(every(op))
        self.attributes = [part.__dict__ for part in self.parts]
        self.entries = sum(map(len, self.attributes))
        self.kinds = list(map(type, self.parts))
        self.classes = list(set(self.kinds))
        self.forwards = list(map(_FORWARD, self.classes))
        self.holders: list[dict[str, Any]] = []
        self.names: list[str] = []
        for holder, names in chain.from_iterable(map(_holdings, self.parts)):
            self.holders.extend(holder for _ in names)
            self.names.extend(names)
        self.held = [holder[name] for holder, name in zip(self.holders, self.names, strict=True)]
        self.tensors = [one for one in self.held if isinstance(one, Tensor)]
        self.pointers = list(map(Tensor.data_ptr, self.tensors))
        self.counted = [tensor for tensor in self.tensors if not tensor.is_inference()]
        self.versions = list(map(_VERSION, self.counted))
        # Fused optimizers count no versions on, and write only where there are gradients: new ones tell of them.
        self.parameters = [tensor for tensor in self.tensors if tensor.is_leaf]
        self.gradients = list(map(id, map(_GRADIENT, self.parameters)))

    def unchanged(self, op: nn.Module) -> bool:
        return (
            op is self.op
            and not _is_watched()
            and not any(chain.from_iterable(map(_DISTURBED, self.attributes)))
            and sum(map(len, self.attributes)) == self.entries
            and list(map(type, self.parts)) == self.kinds
            and list(map(_FORWARD, self.classes)) == self.forwards
            and all(map(is_, map(dict.get, self.holders, self.names), self.held))
            and list(map(Tensor.data_ptr, self.tensors)) == self.pointers
            and list(map(_VERSION, self.counted)) == self.versions
            and list(map(id, map(_GRADIENT, self.parameters))) == self.gradients
        )


def _holdings(part: nn.Module) -> Iterator[tuple[dict[str, Any], Iterable[str]]]:
    """What a part consists of: its parts, tensors and numbers, each by the dictionary it stands in."""
    for holder in (part._modules, part._parameters, part._buffers):
        yield holder, holder
    if isinstance(part, Tree):
        for place, (owner,) in part.lent.items():
            yield owner._modules, [str(place)]
    numbers = _NUMBERS.get(type(part))
    yield part.__dict__, [name for name in part.__dict__ if name[0] != "_"] if numbers is None else numbers
