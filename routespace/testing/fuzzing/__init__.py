"""Laws asked of one space, its gates and its ops: search, shrinking, and what is kept of a failure."""

from routespace.testing.fuzzing.keep import Kept, imports_of, keep, read_kept, replay
from routespace.testing.fuzzing.search import Found, Verdict, fuzz
from routespace.testing.fuzzing.shrink import shrink
from routespace.testing.fuzzing.text import standalone

__all__ = ["Found", "Kept", "Verdict", "fuzz", "imports_of", "keep", "read_kept", "replay", "shrink", "standalone"]
