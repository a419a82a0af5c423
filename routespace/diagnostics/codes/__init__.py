"""The codes of all findings, one module for each group: `rs1.py` (text and limits), `rs2.py` (names), and so on.

A module exports `ENTRIES`, a tuple of `Entry`; `catalogue.py` collects whatever modules are here.
"""
