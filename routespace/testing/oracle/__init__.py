"""The oracle: a slow, obvious evaluator of a RouteGraph, for tests to hold the compiled forms against.

It shares the leaf modules with the runtime and nothing else: activations, closed and live rules, merges, sizes, need
and cost are stated here anew.
"""

from routespace.testing.oracle.oracle import Oracle
from routespace.testing.oracle.price import gated, leaf_work
from routespace.testing.oracle.result import Costs, OracleResult
from routespace.testing.oracle.sizes import plan

__all__ = ["Costs", "Oracle", "OracleResult", "gated", "leaf_work", "plan"]
