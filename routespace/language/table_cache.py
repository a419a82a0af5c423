"""The analysed grammar kept between processes: JSON in the user's cache folder, named after what it was made from."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

FORMAT = 1
_KINDS = {"states": list, "rules": list, "start": int, "end": int, "words": dict, "patterns": list, "ignored": list}


def cached(grammar: str) -> dict[str, Any] | None:
    """The table kept for `grammar`, None where there is none that can be read."""
    try:
        found = json.loads(_file(grammar).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or any(not isinstance(found.get(name), kind) for name, kind in _KINDS.items()):
        return None
    states, rules = len(found["states"]), len(found["rules"])
    targets = (target for row in found["states"] for target in row.values())
    sound = all(isinstance(target, int) and -rules <= target < states for target in targets)
    return found if sound and 0 <= found["start"] < states and 0 <= found["end"] < states else None


def keep(grammar: str, table: dict[str, Any]) -> None:
    """Keep `table` for the next process, whole or not at all; where nothing can be written nothing is kept."""
    file = _file(grammar)
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(table), "utf-8")
        partial.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()


def _file(grammar: str) -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    made_from = f"{FORMAT}\n{sys.version_info[:2]}\n{grammar}"
    return Path(root) / "routespace" / f"grammar-{sha256(made_from.encode()).hexdigest()[:16]}.json"
