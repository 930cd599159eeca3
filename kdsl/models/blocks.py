"""Blocks: one view of an item each, as rows of numbers. A linear model sees one or several blocks side by side.

| block     | sees                                | row                                                   |
|-----------|-------------------------------------|-------------------------------------------------------|
| `ngrams`  | a text view                         | TF-IDF of characters or words, sublinear, unit length |
| `meaning` | a text view, through an encoder     | standardised vector, about unit length                |
| `numbers` | the numbers of an item              | standardised, cut at +-3, with flags where missing    |
| `colours` | the thumbnail of its first picture  | kernel coordinates: likeness to pictures learned from |

Fitting also takes the texts of the labels (names, aliases, descriptions) and gives them rows, so that a model can
learn from what a label is called. State is numpy arrays and JSON values only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from kdsl.dialogue import Item
from kdsl.features import NUMBERS, last_agent, numbers, recent_user, text_fields, thumbnail_of
from kdsl.models.encoder import MAX_CHARS, Encoder
from kdsl.thumbnail import SIZE

Features = Any  # numpy array or scipy CSR matrix, (rows, width), float64

# Analyser and lengths by the last part of a block's name.
SHAPES: Mapping[str, tuple[str, tuple[int, int]]] = {
    "char12": ("char", (1, 2)),  # languages written without spaces
    "char13": ("char", (1, 3)),
    "char25": ("char_wb", (2, 5)),  # parts of words, typos
    "word12": ("word", (1, 2)),
}
MAX_TERMS = 60_000
CUT = 3.0
# Pictures that others are compared with; above so many, evenly spaced ones.
MAX_LANDMARKS = 512


@dataclass(frozen=True)
class Seen:
    """What blocks see of a batch of items: text views by name, numbers, thumbnails, each computed once.

    `thumbnails` is (n, SIZE) between 0 and 1, NaN where an item has none.
    """

    texts: Mapping[str, list[str]]
    numbers: np.ndarray[Any, np.dtype[np.float64]]
    thumbnails: np.ndarray[Any, np.dtype[np.float64]]

    @classmethod
    def of(cls, items: Sequence[Item]) -> Self:
        """Views of the items, in their order."""
        rows = [
            {**text_fields(item), "recent_user": recent_user(item), "last_agent": last_agent(item)} for item in items
        ]
        names = rows[0] if rows else {}
        values = np.array([list(numbers(item).values()) for item in items], dtype=np.float64)
        return cls(
            {name: [row[name] for row in rows] for name in names},
            values.reshape(len(items), len(NUMBERS)),
            np.array([_shades(item) for item in items]).reshape(len(items), SIZE),
        )


@dataclass
class Ngrams:
    """TF-IDF of a text view."""

    view: str
    shape: str
    terms: list[str] = field(default_factory=list)
    idf: Any = None
    _vectorizer: Any = None

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.terms)

    def fit(self, seen: Seen, label_texts: Sequence[str]) -> tuple[Features, Features]:
        """Rows of the items, rows of the label texts."""
        vectorizer = self._new(max_features=MAX_TERMS)
        texts = [*seen.texts[self.view], *label_texts]
        try:
            rows = vectorizer.fit_transform(texts).tocsr()
        except ValueError:  # not one term in all texts
            vectorizer = self._new(vocabulary=["\x00"])
            rows = vectorizer.fit_transform(texts).tocsr()
        self.terms = [str(term) for term in vectorizer.get_feature_names_out()]
        self.idf = vectorizer.idf_
        self._vectorizer = vectorizer
        split = len(texts) - len(label_texts)
        return rows[:split], rows[split:]

    def rows(self, seen: Seen) -> Features:
        """Rows of the items."""
        return self._vectorizer.transform(seen.texts[self.view])

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON values, arrays."""
        return {"terms": self.terms}, {"idf": self.idf}

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """The reverse of `state`. Raises ValueError where the two do not fit."""
        self.terms, self.idf = list(values["terms"]), arrays["idf"]
        if self.idf.shape != (len(self.terms),):
            raise ValueError(f"{len(self.terms)} terms with idf of shape {self.idf.shape}")
        self._vectorizer = self._new(vocabulary=self.terms)
        self._vectorizer.idf_ = self.idf

    def _new(self, **options: Any) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        analyzer, lengths = SHAPES[self.shape]
        if analyzer == "word":
            options["token_pattern"] = r"\w+"  # noqa: S105 - tokens are words here
        return TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, sublinear_tf=True, lowercase=False, **options)


@dataclass
class Meaning:
    """Standardised sentence vectors of the end of a text view."""

    view: str
    encoder: Encoder
    mean: Any = None
    spread: Any = None

    @property
    def width(self) -> int:
        """Columns."""
        return self.encoder.dim

    def fit(self, seen: Seen, label_texts: Sequence[str]) -> tuple[Features, Features]:
        """Rows of the items, rows of the label texts (centred on their own mean: labels are worded unlike messages)."""
        items, labels = self._vectors(seen), self.encoder.encode(label_texts).astype(np.float64)
        self.mean = items.mean(axis=0)
        both = np.vstack([items - self.mean, labels - labels.mean(axis=0)])
        self.spread = np.maximum(both.std(axis=0), 1e-4) * np.sqrt(items.shape[1])
        return (items - self.mean) / self.spread, (labels - labels.mean(axis=0)) / self.spread

    def rows(self, seen: Seen) -> Features:
        """Rows of the items."""
        return (self._vectors(seen) - self.mean) / self.spread

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON values, arrays."""
        return {}, {"mean": self.mean, "spread": self.spread}

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:  # noqa: ARG002
        """The reverse of `state`. Raises ValueError where the two do not fit."""
        self.mean, self.spread = arrays["mean"], arrays["spread"]
        if self.mean.shape != (self.encoder.dim,) or self.spread.shape != (self.encoder.dim,):
            raise ValueError(f"vectors of {self.encoder.dim} with a mean of shape {self.mean.shape}")

    def _vectors(self, seen: Seen) -> Features:
        return self.encoder.encode([text[-MAX_CHARS:] for text in seen.texts[self.view]]).astype(np.float64)


@dataclass
class Numbers:
    """The numbers of an item."""

    mean: Any = None
    spread: Any = None
    width: int = 3 * len(NUMBERS)  # values, squares, flags

    def fit(self, seen: Seen, label_texts: Sequence[str]) -> tuple[Features, Features]:
        """Rows of the items, and zeros for the label texts, which have no numbers."""
        values = _tamed(seen.numbers)
        known = ~np.isnan(values)
        count = np.maximum(known.sum(axis=0), 1)
        self.mean = np.where(known, values, 0.0).sum(axis=0) / count
        self.spread = np.sqrt((np.where(known, values - self.mean, 0.0) ** 2).sum(axis=0) / count)
        rows = self.rows(seen)
        return rows, np.zeros((len(label_texts), rows.shape[1]))

    def rows(self, seen: Seen) -> Features:
        """Rows of the items."""
        values = _tamed(seen.numbers)
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, (values - self.mean) / np.maximum(self.spread, 1e-9))
        scaled = np.where(self.spread < 1e-9, 0.0, np.clip(scaled, -CUT, CUT))
        # Squares let a middle value speak against both ends.
        return np.hstack([scaled, scaled**2 / CUT, missing]) / np.sqrt(scaled.shape[1])

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON values, arrays."""
        return {}, {"mean": self.mean, "spread": self.spread}

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:  # noqa: ARG002
        """The reverse of `state`. Raises ValueError where the two do not fit."""
        self.mean, self.spread = arrays["mean"], arrays["spread"]
        if self.mean.shape != (len(NUMBERS),) or self.spread.shape != (len(NUMBERS),):
            raise ValueError(f"{len(NUMBERS)} numbers with a mean of shape {self.mean.shape}")


@dataclass
class Colours:
    """Likeness of thumbnails: a Gaussian kernel of the median distance, in Nystroem coordinates.

    Williams and Seeger (2001): with every picture a landmark, inner products of rows are the kernel's values.
    """

    landmarks: Any = None  # (m, SIZE) uint8
    spread: float = 1.0  # median squared distance
    _whiten: Any = None

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.landmarks)

    def fit(self, seen: Seen, label_texts: Sequence[str]) -> tuple[Features, Features]:
        """Rows of the items, and zeros for the label texts, which have no colours."""
        known = seen.thumbnails[~np.isnan(seen.thumbnails).any(axis=1)]
        places = np.unique(np.linspace(0, len(known) - 1, min(len(known), MAX_LANDMARKS)).astype(int))
        self.landmarks = np.rint(known[places] * 255).astype(np.uint8)
        distances = _squared_distances(known[places], known[places])
        apart = distances[np.triu_indices(len(places), 1)]
        self.spread = float(np.median(apart)) if apart.size and np.median(apart) > 0 else 1.0
        self._prepare()
        rows = self.rows(seen)
        return rows, np.zeros((len(label_texts), rows.shape[1]))

    def rows(self, seen: Seen) -> Features:
        """Rows of the items; zeros where there is no thumbnail."""
        known = ~np.isnan(seen.thumbnails).any(axis=1)
        rows = np.zeros((len(known), self.width))
        if known.any() and self.width:
            rows[known] = self._kernel(seen.thumbnails[known]) @ self._whiten
        return rows

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON values, arrays."""
        return {"spread": self.spread}, {"landmarks": self.landmarks}

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """The reverse of `state`. Raises ValueError where the two do not fit."""
        self.landmarks, self.spread = arrays["landmarks"], float(values["spread"])
        if self.landmarks.ndim != 2 or self.landmarks.shape[1] != SIZE or not self.spread > 0:
            raise ValueError(f"thumbnails of {SIZE} bytes with landmarks of shape {self.landmarks.shape}")
        self._prepare()

    def _kernel(self, thumbnails: Features) -> Features:
        return np.exp(-_squared_distances(thumbnails, self.landmarks / 255.0) / self.spread)

    def _prepare(self) -> None:
        values, vectors = np.linalg.eigh(self._kernel(self.landmarks / 255.0))
        # Twins among the landmarks leave directions of nothing; they get no coordinate.
        roots = np.where(values > 1e-9, 1 / np.sqrt(np.maximum(values, 1e-9)), 0.0)
        self._whiten = (vectors * roots) @ vectors.T


Block = Ngrams | Meaning | Numbers | Colours


def new_block(name: str, encoder: Encoder | None) -> Block:
    """An empty block by name: `ngrams/VIEW/SHAPE`, `meaning/VIEW`, `numbers` or `colours`.

    Raises:
        ValueError: no such block, or one that needs an encoder without one.
    """
    kind, *rest = name.split("/")
    if kind == "ngrams" and len(rest) == 2 and rest[1] in SHAPES:
        return Ngrams(rest[0], rest[1])
    if kind == "meaning" and len(rest) == 1 and encoder is not None:
        return Meaning(rest[0], encoder)
    if kind == "numbers" and not rest:
        return Numbers()
    if kind == "colours" and not rest:
        return Colours()
    raise ValueError(f"no block {name!r}")


def _shades(item: Item) -> Any:
    content = thumbnail_of(item)
    if content is None or len(content) != SIZE:
        return np.full(SIZE, np.nan)
    return np.frombuffer(content, dtype=np.uint8) / 255.0


def _squared_distances(one: Features, other: Features) -> Features:
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.maximum(squares, 0.0)


def _tamed(values: Any) -> Any:
    """Counts on a log scale; NaN stays NaN."""
    return np.sign(values) * np.log1p(np.abs(values))
