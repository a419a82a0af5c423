"""Twenty planted defects, for `routespace fuzz` to find: `python -m tests.planted`."""
