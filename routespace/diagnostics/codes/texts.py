"""Parts of the examples."""

from __future__ import annotations

OUTPUT = "  output y = image | relu\n"
GATE = "  gate g per image {\n    body mean | conv(1, routes, bias)\n    activation sigmoid\n  }\n"
MAP_GATE = "  gate g per position {\n    body conv(3, routes, bias)\n    activation relu_tanh\n  }\n"
CHOICE = "  output y = sum by g(image) {\n    a: image\n  }\n"


def space_of(body: str) -> str:
    """A space that reads an image and says `body`."""
    return f"space s {{\n  input image: 3\n{body}}}\n"
