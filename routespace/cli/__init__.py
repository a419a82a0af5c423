"""The command line: parse arguments, call a verb, print. Start at `routespace --help`."""

from routespace.cli.app import app, main

__all__ = ["app", "main"]
