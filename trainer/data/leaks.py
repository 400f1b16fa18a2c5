"""The leak check: nothing of the evaluation, and no mask of a novel class, enters training.

Open-vocabulary results mean something only if novel classes were never seen with masks, and if
neither the evaluation images nor the narratives about them were trained on. The check refuses to
start otherwise, and says which classes and images.

Images are known by `image_key`, which sees through splits of known data sets, and by their files, which tell
those of any other (`trainer.data.samefiles`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from alp_builder.errors import BadDataError
from trainer.data.alps import AlpDataset
from trainer.data.cocofile import CocoFile, read_coco
from trainer.data.images import image_key
from trainer.data.masks import MaskDataset
from trainer.data.samefiles import EvaluationFiles

EXAMPLES = 5
"""How many classes or images a message names."""


def evaluation_keys(
    annotations: Iterable[str | Path],
    dataset_id: str | None = None,
    *,
    read: Callable[[str], CocoFile] = read_coco,
) -> set[str]:
    """`image_key` of every image of some COCO-format evaluation files.

    Args:
        annotations: COCO-format files; only their images matter.
        dataset_id: Data set as narratives name it; from each file if `None`.
        read: Reads a file; for those who have read it already.
    """
    keys: set[str] = set()
    for path in annotations:
        file = read(str(path))
        name = dataset_id or file.dataset_id
        keys.update(image_key(name, Path(image.file).stem) for image in file.images)
    return keys


def check_leaks(
    *,
    masks: MaskDataset | None = None,
    alps: AlpDataset | None = None,
    novel: Collection[str] = (),
    evaluation: Collection[str] = (),
    files: EvaluationFiles | None = None,
) -> None:
    """Refuse data that leaks.

    Args:
        masks: The source of masks.
        alps: The source of ALPs.
        novel: Names of novel classes.
        evaluation: `image_key` of each evaluation image, see `evaluation_keys`.
        files: Their files, where they are known.

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
        if files is not None and (shared := _by_file(masks, files, images)):
            found.append(
                f"{len(shared)} mask images are files of evaluation images: {_some(shared)}"
            )
    if alps is not None:
        if shared := [key for key in alps.image_keys() if key in images]:
            found.append(
                f"{len(shared)} images with ALPs are evaluation images: {_some(shared)}"
                " (leave them out with AlpDataset.without)"
            )
        if files is not None and (shared := _by_file(alps, files, images)):
            found.append(
                f"{len(shared)} images with ALPs are files of evaluation images: {_some(shared)}"
                " (leave them out with AlpDataset.without and keys_of_files)"
            )
    if found:
        raise BadDataError(f"leak check: {'; '.join(found)}")


def keys_of_files(source: AlpDataset | MaskDataset, files: EvaluationFiles) -> dict[str, str]:
    """`image_key` of each image of a source whose file is that of an evaluation image, and its path."""
    held = dict(files.among(source.image_files()))
    if not held:
        return {}
    return {key: held[i] for i, key in enumerate(source.image_keys()) if i in held}


def _by_file(
    source: AlpDataset | MaskDataset, files: EvaluationFiles, known: Collection[str]
) -> list[str]:
    """What is found by file only, for a message."""
    found = keys_of_files(source, files).items()
    return [f"{key} ({Path(path).name})" for key, path in found if key not in known]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    return ", ".join(names[:EXAMPLES]) + more
