"""The phones of a spoken word: the dictionary's, or those of its letters, or of a model.

In this order, for a word the dictionary lacks: without its apostrophe; letter by letter where it has no vowel
("lcd"); by the joint n-gram model (`g2p`). Cutting a word in two that the dictionary has ("back", "round") was
tried before the model and dropped: where it applies it is wrong in two to three times as many phones
(docs/align.md).

The model is trained from the dictionary itself when first needed, in some seconds, and kept in the cache
folder under a name that changes with the dictionary and the model's code.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from alp_builder.errors import UsageError
from alp_builder.fetch import default_cache
from alp_builder.voice import g2p, letters
from alp_builder.voice.g2p import Pronouncer

MODEL = "en-us/en-us"
DICTIONARY = "en-us/cmudict-en-us.dict"
_VARIANT = re.compile(r"\(\d+\)$")


def model_path(name: str) -> Path:
    """A file of pocketsphinx's English model.

    Raises:
        UsageError: If pocketsphinx is not installed.
    """
    try:
        import pocketsphinx  # the extra `record`
    except ImportError as error:
        raise UsageError(
            "pocketsphinx is not installed: pip install alp-toolkit[record] (or make record-env)"
        ) from error
    return Path(pocketsphinx.get_model_path(name))


class Lexicon:
    """Pronunciations of any word.

    Args:
        known: The dictionary: phones of a word, or None.
        cache: Folder the trained model is kept in; default the cache of downloads.
    """

    def __init__(self, known: Callable[[str], str | None], cache: Path | None = None) -> None:
        self._known = known
        self._cache = cache
        self._model: Pronouncer | None = None

    def phones(self, word: str) -> str:
        """The phones of a word of letters and apostrophes, such as "HH UH D IY"."""
        bare = word.replace("'", "")
        return self._known(word) or self._known(bare) or self._spelled(bare) or self._guessed(bare)

    def _spelled(self, word: str) -> str | None:
        if re.search(r"[aeiouy]", word):
            return None
        names = [self._known(letter) for letter in word]
        return " ".join(name for name in names if name) or None

    def _guessed(self, word: str) -> str:
        if self._model is None:
            self._model = trained_model(self._cache)
        return self._model(word) or "AH"


def dictionary_entries(path: Path) -> Iterator[tuple[str, str]]:
    """Words of the dictionary in plain letters, and their phones; one for each variant."""
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, phones = line.partition(" ")
        word = _VARIANT.sub("", word).replace("'", "")
        if word.isascii() and word.isalpha() and phones:
            yield word.lower(), phones.strip()


def trained_model(cache: Path | None = None) -> Pronouncer:
    """The model of pocketsphinx's dictionary: from the cache, else trained now and put there.

    Several processes that need it at once wait for the first of them.
    """
    path = model_path(DICTIONARY)
    digest = hashlib.sha256(path.read_bytes())
    for module in (g2p, letters):
        digest.update(Path(str(module.__file__)).read_bytes())
    target = (cache or default_cache()) / "voice" / f"g2p-{digest.hexdigest()[:16]}.npz"
    found = Pronouncer.load(target)
    if found is not None:
        return found
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = Pronouncer.load(target)
            if found is None:
                sys.stderr.write("learning to pronounce from the dictionary, once: 6 s of work\n")
                found = g2p.train(dictionary_entries(path))
                found.save(target)
        return found
    except OSError:  # a cache that cannot be written to: it works, and is slow every time
        return found or g2p.train(dictionary_entries(path))
