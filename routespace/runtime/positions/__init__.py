"""Gated expressions whose gates are maps: computed where some open output needs them."""

from routespace.runtime.positions.choose import exact, measured
from routespace.runtime.positions.needs import demand
from routespace.runtime.positions.reference import reference_where
from routespace.runtime.positions.run import run_where
from routespace.runtime.positions.work import Work

__all__ = ["Work", "demand", "exact", "measured", "reference_where", "run_where"]
