"""Seeded chance for the made-up shop: every choice follows from a key, never from a global state or the clock."""

import hashlib
from random import Random


def dice(*key: object) -> Random:
    """A generator that depends on the key alone: the same key throws the same on every machine."""
    return Random("/".join(map(str, key)))  # noqa: S311 - made-up data, no secret


def rank(*key: object) -> int:
    """A 64-bit hash of the key, to order or split things by what they are and not by where they stand."""
    return int.from_bytes(hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest())
