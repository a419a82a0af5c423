"""Meaning, free of torch: spaces, expressions and the registries. Importing it registers the standard entries."""

from routespace.space import conventions, standard

__all__ = ["conventions", "standard"]
