"""Hostile texts by construction.

`hostile(seed, index)` draws an attack and a size, up to the longest text there may be, and sometimes a second attack
or a disguise: other ends of lines, characters from elsewhere, a cut.
"""

from __future__ import annotations

from random import Random

from routespace.language.parser import MAX_LENGTH
from tests.language import attacks_on_meaning, attacks_on_reading
from tests.language.attack_kit import ATTACKS, ODD

KINDS = (attacks_on_reading, attacks_on_meaning)
"""The modules that fill `ATTACKS`."""


def size_of(rng: Random) -> int:
    """Mostly small, at times as long as a text may be."""
    low, high = rng.choices(
        [(10, 2000), (2000, 60_000), (60_000, 10**6), (MAX_LENGTH - 300, MAX_LENGTH - 200)], (700, 250, 40, 10)
    )[0]
    return int(low * (high / low) ** rng.random())


def disguised(rng: Random, text: str) -> str:
    """`text` with one thing changed that goes for all of it."""
    kind = rng.randrange(8)
    at = rng.randrange(len(text) + 1)
    if kind == 0:
        return text.replace("\n", rng.choice(["\r", "\r\n", "\u2028", "; ", ""]))
    if kind == 1:
        return text[:at]
    if kind == 2:
        return text[:at] + rng.choice(ODD) * rng.choice([1, 3, 1000]) + text[at:]
    if kind == 3:
        return text[at:] + text[:at]
    if kind == 4:
        return text.replace(" ", rng.choice(["\t", "  ", "", "\xa0"]))
    if kind == 5:
        old, new = rng.sample(["(", ")", "{", "}", ",", "=", "|", "[", "]", ":", "1", "a", "image", "relu"], 2)
        return text.replace(old, new, rng.choice([1, 2, len(text)]))
    return text


def hostile(seed: int, index: int) -> str:
    """The text with this number."""
    rng = Random(f"{seed}:{index}")
    text = ATTACKS[rng.choice(list(ATTACKS))](rng, size_of(rng))
    if rng.random() < 0.2:
        text += ATTACKS[rng.choice(list(ATTACKS))](rng, rng.choice([100, 1000, 10_000]))
    return disguised(rng, text)[:MAX_LENGTH]
