"""What went on in this process that a run should count: models loaded, batches halved, items cut, time.

Voters answer with scores alone, so what else they have to tell is left here, and taken by whoever runs them.
"""

from collections import Counter

LOADS, HALVED, CUT = "loads", "halved", "cut"
UNSEEN = "unseen"  # items a multimodal model said nothing of: their picture is lost or broken, or nothing fits in
UNHEARD = "unheard"  # items on which a voter failed that has no say: they keep their label, and have no vote of it
DEAR_ITEMS, DEAR_MS = "large_items", "large_ms"  # that the voter `large` was asked of, and milliseconds it took
_counts: Counter[str] = Counter()


def add(name: str, more: int = 1) -> None:
    """Count something."""
    if more:
        _counts[name] += more


def taken() -> Counter[str]:
    """What was counted since the last call."""
    found = Counter(_counts)
    _counts.subtract(found)
    return +found
