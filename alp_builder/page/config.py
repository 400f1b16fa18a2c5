"""What a page is made of, and its limits."""

from __future__ import annotations

from pathlib import Path

import msgspec


class PageRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to show.

    Attributes:
        alps: Folder or URL of a data set, or `None` for a page of predictions alone.
        split: Which split of it; all if `None`.
        where: Conditions such as `score>=0.5` or `head_lemma=dog`; a narrative is shown, whole, if one of
            its ALPs fulfils all of them.
        images: Folders of images, `FOLDER` or `DATASET=FOLDER`; without any, pages have no pictures.
        images_csv: CSV file with the columns dataset_id, image_id, file_name.
        narratives: The inputs of the build (files, folders, globs): they hold whole traces and timed words.
        predictions: A COCO results file.
        predicted_on: COCO file that says which images and categories the results' ids mean.
        truth: COCO instance file of the images.
        link_images: Refer to image files instead of embedding them.
    """

    alps: Path | str | None = None
    split: str | None = None
    where: list[str] = []
    images: list[str] = []
    images_csv: Path | None = None
    narratives: list[str] = []
    predictions: Path | None = None
    predicted_on: Path | None = None
    truth: Path | None = None
    link_images: bool = False


class PageConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of a page. What does not fit is left out and counted on the page itself.

    Attributes:
        sample: Most narratives; more are sampled. 0 shows all, up to `max_narratives`.
        seed: Of the sample.
        max_narratives: Most narratives of any page.
        max_bytes: Largest page, in bytes. Images are shrunk until they fit.
        image_side: Longer side of an embedded image, in pixels.
        least_side: The same where images must be shrunk; smaller than that none is shown.
        jpeg_quality: Of embedded images.
        max_pixels: Images of more pixels are refused undecoded.
        max_caption_chars: Longer captions are cut.
        max_alps: Most ALPs of a narrative.
        max_points: Most trace points of a narrative; more are thinned evenly.
        max_things: Most predictions, and most things of truth, of an image; best scores first.
        least_score: Predictions below it are left out.
        mask_side: Longer side of the grid masks are drawn on.
        gap: Points of a shard's trace that are further apart in time were not neighbours, in seconds.
    """

    sample: int = 200
    seed: int = 0
    max_narratives: int = 20_000
    max_bytes: int = 64_000_000
    image_side: int = 640
    least_side: int = 96
    jpeg_quality: int = 82
    max_pixels: int = 100_000_000
    max_caption_chars: int = 20_000
    max_alps: int = 300
    max_points: int = 6_000
    max_things: int = 60
    least_score: float = 0.05
    mask_side: int = 192
    gap: float = 0.1
