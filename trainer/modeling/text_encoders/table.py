"""A table of vectors as an encoder: class names whose embeddings somebody has published.

Detic's `*_clip_a+cname.npy` are such tables: CLIP ViT-B/32 vectors of "a {name}". They serve a model
without any download, for the names in the table and no others; the prompt is already in the vectors.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from alp_builder.errors import BadDataError, UsageError
from trainer.modeling.text_encoders.encoder import Vectors, file_fingerprint


def normalise_name(name: str) -> str:
    """Lower case, with single spaces for underscores and runs of spaces."""
    return " ".join(name.replace("_", " ").lower().split())


class TableEncoder:
    """Vectors by name.

    Args:
        vectors: `.npy` file of shape `(N, dim)`, any float type.
        names: The N names in the order of the rows; or a file of them: text with one a line, or CSV
            with a header that has the column `name`.
        aliases: For names that are not in the table, the name it has instead.

    Raises:
        BadDataError: If the files do not fit together, or hold numbers that are not finite.
    """

    class_templates: tuple[str, ...] = ("{}",)
    phrase_template: str = "{}"

    def __init__(
        self,
        vectors: str | Path,
        names: Sequence[str] | str | Path,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        path = Path(vectors)
        try:
            table = np.load(path, allow_pickle=False)
        except Exception as error:  # numpy raises whatever a damaged header makes it meet
            raise BadDataError(f"{path}: cannot be read as an array of vectors: {error}") from error
        listed = _read_names(Path(names)) if isinstance(names, str | Path) else list(names)
        if not np.issubdtype(table.dtype, np.number) or np.iscomplexobj(table):
            raise BadDataError(f"{path}: holds {table.dtype}, expected real numbers")
        if table.ndim != 2 or len(table) != len(listed):
            raise BadDataError(
                f"{path}: an array of shape {table.shape} for {len(listed)} names: "
                "expected one row a name"
            )
        self._vectors = table.astype(np.float32)
        if not np.isfinite(self._vectors).all():
            raise BadDataError(f"{path}: has numbers that are not finite")
        self._row = {normalise_name(name): row for row, name in enumerate(listed)}
        for name, instead in (aliases or {}).items():
            if (row := self._row.get(normalise_name(instead))) is not None:
                self._row.setdefault(normalise_name(name), row)
        self.dim = int(table.shape[1])
        # The same rows under other names are another table.
        named = hashlib.sha256(repr(sorted(self._row.items())).encode()).hexdigest()[:12]
        self.fingerprint = f"table-{file_fingerprint(path)}-{named}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Rows of the names.

        Raises:
            UsageError: If a text is not in the table.
        """
        rows = [self._row.get(normalise_name(text), -1) for text in texts]
        if -1 in rows:
            missing = texts[rows.index(-1)]
            raise UsageError(
                f"{missing!r} is not in the table of {len(self._row)} text vectors: choose names it "
                "has, or an encoder of free text (text.name=minilm or text.name=open_clip)"
            )
        vectors: Vectors = self._vectors[rows]
        return vectors


def _read_names(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            if path.suffix == ".csv":
                # A row that is too short has no name.
                return [row["name"] or "" for row in csv.DictReader(file)]
            return [line.strip() for line in file if line.strip()]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise BadDataError(f"{path}: no list of names: {error}") from error
