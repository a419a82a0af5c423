"""Laws of what spaces are made of: activations of gates and ops, held to what their registration declares.

Each is asked of a `Subject` and looks at every activation and op that its space uses.

>>> from routespace.testing.cases import random_case
>>> from routespace.testing.laws import Subject
>>> subject = Subject(random_case(1))
>>> for law in ENTRY_LAWS.values():
...     law(subject)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from routespace.testing.entries.activations import (
    gates_decide_alone,
    gates_keep_their_dtype,
    gates_keep_their_range,
    gates_keep_their_support,
    gates_learn_as_declared,
    gates_repeat,
    gates_start_as_told,
    margins_are_kept,
    nan_is_open,
    open_is_more_than_zero,
)
from routespace.testing.entries.ops import (
    ops_cost_as_declared,
    ops_have_their_shape,
    ops_keep_their_dtype,
    ops_keep_their_input,
    ops_learn,
    ops_repeat,
    ops_see_images_alone,
    ops_see_their_window,
    ops_train_as_they_infer,
)
from routespace.testing.laws.subject import Subject

ENTRY_LAWS: Mapping[str, Callable[[Subject], None]] = {
    "gates keep their range": gates_keep_their_range,
    "open is more than zero": open_is_more_than_zero,
    "gates keep their support": gates_keep_their_support,
    "gates open at NaN": nan_is_open,
    "gates decide alone": gates_decide_alone,
    "gates repeat": gates_repeat,
    "gates keep their dtype": gates_keep_their_dtype,
    "gates learn as declared": gates_learn_as_declared,
    "margins are kept": margins_are_kept,
    "gates start as told": gates_start_as_told,
    "ops have their shape": ops_have_their_shape,
    "ops keep their input": ops_keep_their_input,
    "ops see images alone": ops_see_images_alone,
    "ops repeat": ops_repeat,
    "ops train as they infer": ops_train_as_they_infer,
    "ops keep their dtype": ops_keep_their_dtype,
    "ops learn": ops_learn,
    "ops cost as declared": ops_cost_as_declared,
    "ops see their window": ops_see_their_window,
}
"""Every law of entries by name."""

__all__ = ["ENTRY_LAWS"]
