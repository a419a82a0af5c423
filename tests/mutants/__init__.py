"""Mutants of the package, each of which the laws have to kill. None of these files imports the package."""

from tests.mutants.costs import COSTS
from tests.mutants.gates import GATES
from tests.mutants.mutant import Mutant
from tests.mutants.streams import STREAMS

CONTROL = Mutant("no slip", "runtime/dense.py", 'tally = "all"', 'tally = "all"')
"""The package as it is: no law may kill it."""
MUTANTS = (*GATES, *STREAMS, *COSTS)
"""All of them; adding one is adding an entry to one of the three tuples."""
