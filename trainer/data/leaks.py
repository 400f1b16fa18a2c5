"""The leak check: nothing of the evaluation, and no mask of a novel class, enters training.

Open-vocabulary results mean something only if novel classes were never seen with masks, and if
neither the evaluation images nor the narratives about them were trained on. The check refuses to
start otherwise, and says which classes and images.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from alp_builder.errors import BadDataError
from trainer.data.alps import AlpDataset
from trainer.data.cocofile import read_coco
from trainer.data.images import image_key
from trainer.data.masks import MaskDataset

EXAMPLES = 5
"""How many classes or images a message names."""


def evaluation_keys(annotations: Iterable[str | Path], dataset_id: str | None = None) -> set[str]:
    """`image_key` of every image of some COCO-format evaluation files.

    Args:
        annotations: COCO-format files; only their images matter.
        dataset_id: Data set as narratives name it; from each file if `None`.
    """
    keys: set[str] = set()
    for path in annotations:
        file = read_coco(path)
        name = dataset_id or file.dataset_id
        keys.update(image_key(name, Path(image.file).stem) for image in file.images)
    return keys


def check_leaks(
    *,
    masks: MaskDataset | None = None,
    alps: AlpDataset | None = None,
    novel: Collection[str] = (),
    evaluation: Collection[str] = (),
) -> None:
    """Refuse data that leaks.

    Args:
        masks: The source of masks.
        alps: The source of ALPs.
        novel: Names of novel classes.
        evaluation: `image_key` of each evaluation image, see `evaluation_keys`.

    Raises:
        BadDataError: If a novel class has masks in the mask source, or an image of either source is
            an evaluation image; one line names them.
    """
    found: list[str] = []
    forbidden = {name.casefold() for name in novel}
    images = set(evaluation)
    if masks is not None:
        counts = masks.class_counts()
        leaked = [name for name in masks.classes if name.casefold() in forbidden]
        if leaked:
            said = [f"{name} ({counts[name]} masks)" for name in leaked]
            found.append(f"novel classes with masks in the base source: {_some(said)}")
        if shared := [key for key in masks.image_keys() if key in images]:
            found.append(f"{len(shared)} mask images are evaluation images: {_some(shared)}")
    if alps is not None and (shared := [key for key in alps.image_keys() if key in images]):
        found.append(
            f"{len(shared)} images with ALPs are evaluation images: {_some(shared)}"
            " (leave them out with AlpDataset.without)"
        )
    if found:
        raise BadDataError(f"leak check: {'; '.join(found)}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    return ", ".join(names[:EXAMPLES]) + more
