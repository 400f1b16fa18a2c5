"""The images of a folder, each under a key that says nothing of where its file lies.

The page asks for images by key, sixteen hexadecimal digits of a hash of the name below the folder, and the
server looks keys up: no name a browser sends is ever made into a path. What is not a picture a browser shows,
or leads out of the folder through a link, is left out and counted.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec

from alp_builder.errors import UsageError
from alp_builder.image_names import ENDINGS
from alp_builder.page.image_files import ImageFolder

_MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_TURNED = (5, 6, 7, 8)  # values of EXIF orientation that swap width and height
_ORIENTATION = 0x0112


class RecordedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image to narrate.

    Attributes:
        key: What the page calls it.
        image_id: What its narratives call it: the name below the folder, without its ending where that
            is enough to tell it from the others.
        file: Name below the folder.
        media_type: As browsers name it.
        width: Pixels as a browser shows it, turned as EXIF says.
        height: The same.
    """

    key: str
    image_id: str
    file: str
    media_type: str
    width: int
    height: int


@dataclass(frozen=True)
class ImageList:
    """The images of a folder.

    Attributes:
        folder: Where they lie.
        images: By key, in the order of their names.
        left_out: Files that look like images and were not taken, by reason.
    """

    folder: ImageFolder
    images: dict[str, RecordedImage]
    left_out: Counter[str]

    def path(self, key: str) -> Path | None:
        """The file of an image, looked up anew: `None` where it is gone, or a link leads out."""
        image = self.images.get(key)
        return self.folder.find(image.file) if image else None


def find_images(root: Path) -> ImageList:
    """Lists the images below a folder.

    Args:
        root: The folder. Names that start with a dot are passed over.

    Raises:
        UsageError: If there is no such folder, or no image in it.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; name the folder of the images to narrate")
    folder, left_out = ImageFolder(root), Counter[str]()
    found = [image for name in _names(root) if (image := _look(folder, name, left_out))]
    if not found:
        endings = ", ".join(ENDINGS)
        raise UsageError(f"{root}: no image in it that a browser shows ({endings})")
    stems = Counter(_stem(image.file) for image in found)
    # A name without its ending may be another file's name, as in a.jpg and a.jpg.png.
    stems.update(image.file for image in found)
    images = [
        msgspec.structs.replace(image, image_id=stem if stems[stem] == 1 else image.file)
        for image in found
        for stem in [_stem(image.file)]
    ]
    return ImageList(folder, {image.key: image for image in images}, left_out)


def image_key(name: str) -> str:
    """The key of an image by its name below the folder."""
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _names(root: Path) -> list[str]:
    """Names of the files below a folder that end as images do, in order."""
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(folder).relative_to(root)
        names += [
            (below / name).as_posix()
            for name in files
            if name.lower().endswith(ENDINGS) and not name.startswith(".")
        ]
    return sorted(names)


def _look(folder: ImageFolder, name: str, left_out: Counter[str]) -> RecordedImage | None:
    """Reads an image's head."""
    from PIL import Image  # no other verb should wait for it

    try:
        name.encode()
    except UnicodeEncodeError:
        left_out["its name is not UTF-8"] += 1
        return None
    path = folder.find(name)
    if path is None:
        left_out["it lies outside the folder, or its name holds a backslash"] += 1
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # only its head is read
            with Image.open(path, formats=list(_MEDIA_TYPES)) as image:
                width, height = image.size
                if image.getexif().get(_ORIENTATION) in _TURNED:
                    width, height = height, width
                media_type = _MEDIA_TYPES[image.format or ""]
    except Exception:  # noqa: BLE001  broken images raise whatever their decoder likes
        left_out["it is no image, or broken"] += 1
        return None
    return RecordedImage(
        key=image_key(name), image_id="", file=name, media_type=media_type, width=width, height=height
    )  # fmt: skip
