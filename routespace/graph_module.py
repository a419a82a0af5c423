"""The class of compiled modules: `torch.fx` graph modules that tracers of others take as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

from torch import fx, nn

from routespace.runtime.aside import aside
from routespace.runtime.frame import Opening

_UNTRACED = (
    "a compiled space decides by its data and is not traced through: trace the module that it is a part of, which "
    "takes it as one call"
)


def as_leaf(forward: Callable[..., Any]) -> Callable[..., Any]:
    """`forward` of a module that tracers of `torch.fx` note as one call, whatever they take for leaves."""

    @wraps(forward)
    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        proxy = next(_proxies((args, kwargs)), None)
        return forward(self, *args, **kwargs) if proxy is None else _traced(self, proxy.tracer, args, kwargs)

    return call


def _proxies(value: Any) -> Iterator[fx.Proxy]:
    if isinstance(value, fx.Proxy):
        yield value
    elif isinstance(value, (list, tuple, Mapping)):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _proxies(one)


def _traced(module: nn.Module, tracer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The call as a tracer notes it; of a module that is itself what is traced, the calls of its leaves."""
    root = getattr(tracer, "root", None)
    if root is module and isinstance(module, CompiledModule):
        return _Leaves(module, tracer).run(*args, *kwargs.values())
    if root is None or root is module:
        raise TypeError(_UNTRACED)
    return tracer.create_proxy("call_module", tracer.path_of_module(module), args, dict(kwargs))


class _Leaves(fx.Interpreter):
    """Lets a tracer note the calls of a compiled module."""

    def __init__(self, module: CompiledModule, tracer: Any) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.tracer = tracer

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        def forward(*args: Any, **kwargs: Any) -> Any:
            return self.tracer.create_proxy("call_module", target, args, kwargs)

        return self.tracer.call_module(self.fetch_attr(target), forward, args, kwargs)


class CompiledModule(fx.GraphModule):
    """A space in one of its forms."""

    def recompile(self) -> Any:
        code = super().recompile()
        kind = type(self)
        kind.forward = as_leaf(self.entered(kind.forward))
        for part in self.children():
            if isinstance(part, Opening):
                part.roots = (self,)
        return code

    def entered(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        return forward


class UncompiledModule(CompiledModule):
    """A space in a form that `torch.compile` leaves as it is: what it runs depends on data at every gate."""

    def entered(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        return aside(forward)
