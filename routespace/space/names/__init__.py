"""The names of a space: what they stand for and whether every place that reads one finds it."""

from routespace.space.names.check import check_space, read_space
from routespace.space.names.legal import MAX_DEPTH, check_legal, problem_of

__all__ = ["MAX_DEPTH", "check_legal", "check_space", "problem_of", "read_space"]
