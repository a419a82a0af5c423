"""How long the whole program `routespace check` takes as its input grows: in depth, and in rules that are written out.

    python benchmarks/check.py [--repeats 7]

The programs run interleaved, each in a process of its own with a compiled package, and medians of wall-clock time are
compared. The baseline is the check of a space of one node: what starting costs. `growth` is what a node (or rule) takes
beyond that, as a share of the same at the smallest size: 1.00 is linear.
"""

from __future__ import annotations

import argparse
import compileall
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import routespace

SEGMENTATION = Path(__file__).parent.parent / "examples" / "segmentation.route"
SIZES = (125, 250, 500, 1000)
PROGRAM = "import sys; from routespace.cli import main; sys.exit(main())"


def written(count: int) -> str:
    """A chain of `count` nodes with a choice of three routes each, every rule written for itself."""
    rules = "\n\n".join(
        f"""  node at layer where layer == {layer} {{
    x = {"image | conv(3, width)" if layer == 0 else f"keep[{layer - 1}] + wide[{layer - 1}] + narrow[{layer - 1}]"}
    h = x | sum(sep_conv_3x3) + identity
    send h by soft(x) {{
      keep:   relu
      wide:   relu | conv(1, 2 * channels) | batchnorm | relu | conv(1, width)
      narrow: relu | conv(1, channels / 2) | batchnorm | relu | conv(1, width)
    }} closed keep = x below 1e-4
  }}"""
        for layer in range(count)
    )
    return f"""space written(width = 8) {{
  input image: 3

  axis layer = 0..{count - 1}

  gate soft per image {{
    body       mean | conv(1, routes, bias)
    activation relu_tanh
  }}

{rules}

  output y = keep[{count - 1}] + wide[{count - 1}] + narrow[{count - 1}]
}}
"""


def commands(folder: Path) -> Iterator[tuple[str, int, list[str]]]:
    """What is checked: its kind, its size, the arguments."""
    for count in (1, *SIZES):
        path = folder / f"{count}.route"
        path.write_text(written(count), "utf-8")
        yield ("rules" if count > 1 else "start"), count, [str(path)]
    for depth in SIZES:
        yield "depth", depth, [str(SEGMENTATION), "--set", f"depth={depth}"]


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", PROGRAM, "check", *arguments], capture_output=True, text=True)
    taken = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    compileall.compile_dir(Path(routespace.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        checked = list(commands(Path(folder)))
        taken: dict[tuple[str, int], list[float]] = {(kind, size): [] for kind, size, _ in checked}
        for _ in range(repeats):
            for kind, size, arguments in checked:
                taken[kind, size].append(seconds(arguments))
    medians = {key: statistics.median(times) for key, times in taken.items()}
    start = medians.pop(("start", 1))
    print(f"baseline, a space of one node: {start:.2f} s\n")
    print("             seconds   / baseline   growth")
    for (kind, size), median in medians.items():
        first = (medians[kind, SIZES[0]] - start) / SIZES[0]
        print(
            f"{size:5} {kind}     {median:4.2f}        {median / start:4.1f}     {(median - start) / size / first:4.2f}"
        )


if __name__ == "__main__":
    main()
