"""The laws of semantics as checks on a case. Each raises `LawViolation` with the case that breaks it.

>>> from routespace.testing.cases import random_case
>>> check_laws(random_case(0))
"""
