"""Randomness that repeats: every draw belongs to a key."""

from __future__ import annotations

from random import Random


def dice(*key: object) -> Random:
    """Return the random generator that belongs to a key."""
    text = "/".join(map(str, key))
    return Random(text)  # noqa: S311 - the data must repeat, not be secret


def uuid(random: Random) -> str:
    """Return 32 random hex digits, written as a UUID."""
    digits = f"{random.getrandbits(128):032x}"
    return "-".join(
        (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    )
