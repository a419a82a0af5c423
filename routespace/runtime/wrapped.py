"""The compiled module inside what PyTorch and others wrap around modules.

`DataParallel`, `DistributedDataParallel`, `torch.compile`, `AveragedModel`, Lightning and modules of users hold what
they wrap as a part. Every public function that takes a compiled module asks here, and so takes them too.
"""

from __future__ import annotations

from torch import nn

from routespace.runtime.frame import Opening


def is_compiled(module: nn.Module) -> bool:
    """Whether `routespace.compile` or `routespace.prune` made a module itself."""
    return any(isinstance(part, Opening) for part in module.children())


def inside(module: nn.Module) -> nn.Module:
    """The compiled module that `module` is, or the only one that it holds, however deep.

    Raises `TypeError` where there is none, and where there are several: each is given by itself.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"a compiled module is needed, not a {type(module).__name__}")
    found: dict[str, nn.Module] = {path: part for path, part in module.named_modules() if is_compiled(part)}
    if not found:
        raise TypeError("this module was not made by `routespace.compile`, and holds none that was")
    if len(found) > 1:
        names = ", ".join(f"`{path}`" for path in found)
        raise TypeError(f"this module holds several that `routespace.compile` made; give one of {names}")
    return next(iter(found.values()))


def refresh(module: nn.Module) -> None:
    """Give up what a compiled `module` keeps of its weights, as when they were written to through `.data` or by numpy.

    Writes that autograd sees are followed by themselves, and every `module.train()` and `module.eval()` does this too.
    `module` may be wrapped. Raises `TypeError` for what holds no compiled module.

    >>> import routespace as rs, torch
    >>> module = rs.compile(rs.load(rs.example("small"), depth=1, width=4), form="sparse")
    >>> for parameter in module.parameters():
    ...     _ = parameter.data.mul_(0.999)
    >>> rs.refresh(module)
    """
    for part in inside(module).children():
        if isinstance(part, Opening):
            part.refresh()
