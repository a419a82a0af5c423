"""Passes over a RouteGraph: one file each, pure, the same object back when nothing changed."""
