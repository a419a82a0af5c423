"""The order of values: each after what it reads and after the gates that guard it."""

from __future__ import annotations

from routespace.graph.ir import Input, Output, Route, Value, Zero


def reads(value: Value) -> tuple[str, ...]:
    """Names of everything that must be there before `value`: arguments, its gate, the gates of its guard."""
    names = (*value.args, value.gate) if isinstance(value, Route) else value.args
    if not isinstance(value, (Output, Input, Zero)) and value.guard:
        return tuple(dict.fromkeys((*names, *(atom.gate for atom in value.guard))))
    return names


def ordered(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """`values` sorted so that each stands behind what it reads, otherwise as they were."""
    by_name = {value.name: value for value in values}
    done: dict[str, Value] = {}
    for root in values:
        stack = [root]
        while stack:
            value = stack[-1]
            waiting = [name for name in reads(value) if name not in done]
            if value.name in done:
                stack.pop()
            elif waiting:
                if len(stack) > len(values):
                    raise AssertionError(f"values around `{value.name}` guard each other in a circle")
                stack.extend(by_name[name] for name in reversed(waiting))
            else:
                done[value.name] = stack.pop()
    return tuple(done.values())
