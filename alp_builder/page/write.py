"""From a request to a page: gathers narratives, images, predictions and truth, and writes the file."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
from PIL import Image
from tqdm import tqdm

from alp_builder.errors import UsageError
from alp_builder.files import atomic_file
from alp_builder.manifest import Manifest
from alp_builder.page.choose import Chosen, choose
from alp_builder.page.config import PageConfig, PageRequest
from alp_builder.page.document import PageDocument, PageImage, PageNarrative
from alp_builder.page.html import page_size, write_html
from alp_builder.page.image_files import ImageFiles
from alp_builder.page.narratives import page_narratives
from alp_builder.page.pictures import encode_all, link
from alp_builder.page.things import CocoThings, image_names, read_predictions, read_truth
from alp_builder.page.traces import Told, read_told
from alp_builder.reader import open_alps
from alp_builder.simulate.coco import CocoImage

_MISSING = "no file found"
_LEAST_BUDGET = 1_500  # bytes: less shows nothing of an image
_TAGS = 200  # bytes round an image, and what is noted of it


class PageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a page came to.

    Attributes:
        path: The page.
        size: Bytes.
        narratives: How many it shows.
        alps: How many ALPs.
        images: Images shown.
        image_side: Longer side of the largest embedded one, pixels; 0 where there is none.
        problems: Images not shown, by reason.
        predictions: Predictions shown.
        truth: Things of truth shown.
        traces: `whole`, `boxes` or `none`.
        about: What was shown and left out, in sentences.
    """

    path: Path
    size: int
    narratives: int
    alps: int
    images: int
    image_side: int
    problems: dict[str, int]
    predictions: int
    truth: int
    traces: str
    about: list[str]


class _Gathering:
    """Narratives and images of a page as they come together."""

    def __init__(self, request: PageRequest, config: PageConfig) -> None:
        self.request = request
        self.config = config
        self.files = ImageFiles(request.images, request.images_csv)
        self.narratives: list[PageNarrative] = []
        self.found: list[Path | None] = []
        self.images: list[PageImage] = []
        self.about: list[str] = []
        self.traces = "none"
        self._index: dict[tuple[str, str], int] = {}
        self._names: list[str] = []  # the image id of each image, as narratives write it

    def image(self, dataset_id: str, image_id: str, file: Path | None = None) -> int:
        """The index of an image, new or known."""
        key = (dataset_id, image_id)
        if key not in self._index:
            self._index[key] = len(self.images)
            found = file or self.files.find(*key)
            self.found.append(found)
            self.images.append(PageImage(problem="" if found or not self.files else _MISSING))
            self._names.append(image_id)
        return self._index[key]

    def add_alps(self, folder: Path | str, only: CocoThings | None, progress: bool) -> None:
        """The narratives of a data set; of images with predictions alone where there are any."""
        request, config = self.request, self.config
        dataset = open_alps(folder)
        ids = None
        if only is not None:
            ids = {name for i in only.coco.images for name in image_names(i.file_name)}
        chosen = choose(dataset, request.where, request.split, config, ids)
        told: dict[str, Told] = {}
        wanted = set(chosen.rows["narrative_id"].to_pylist())
        if request.narratives and wanted:
            made = dataset.manifest.config
            told = read_told(request.narratives, wanted, made, config, progress)
        self.narratives, notes = page_narratives(chosen.rows, told, self.image, config)
        self.traces = _kind_of_traces(self.narratives, told)
        self.about += [self._chosen(chosen, Path(folder).absolute().name, only is not None), *notes]
        self.about += self._of_traces(dataset.manifest, told, len(wanted))

    def add_things(self, predictions: CocoThings | None, truth: CocoThings | None) -> None:
        """Predictions and truth of the images, and the images that only have predictions."""
        shown: set[int] = set()
        for number, image in enumerate(self.images):
            for name, things in (("truth", truth), ("predictions", predictions)):
                known = things and things.find(self._names[number], self.found[number])
                if things and known:
                    self._put(image, name, things, known)
                    if self.found[number] is None and self.files:
                        self.found[number] = self.files.locate(known.file_name)
                        image.problem = "" if self.found[number] else _MISSING
                    if things is predictions:
                        shown.add(known.id)
        if predictions is None:
            return
        alone = [image for image in predictions.coco.images if image.id not in shown]
        most = self.config.sample or self.config.max_narratives
        for coco_image in alone[:most]:
            file = self.files.locate(coco_image.file_name)
            name = image_names(coco_image.file_name)[0]
            number = self.image("", coco_image.file_name, file)
            image = self.images[number]
            other = truth.find(name, file) if truth else None
            if truth and other:
                self._put(image, "truth", truth, other)
            self._put(image, "predictions", predictions, coco_image)
            self.narratives.append(
                PageNarrative(dataset="", image_id=coco_image.file_name[-200:], image=number)
            )
        if len(alone) > most:
            self.about.append(f"{len(alone) - most:,} more images have predictions; see --sample.")

    def _put(self, image: PageImage, name: str, things: CocoThings, known: CocoImage) -> None:
        """Gives an image its predictions or its truth, and the size their file says it has."""
        shown, more = things.of(known, self.config)
        if name == "predictions":
            image.predictions, image.more = shown, more
        else:
            image.truth = shown
        image.width, image.height = max(known.width, 1), max(known.height, 1)

    def _chosen(self, chosen: Chosen, name: str, predicted: bool) -> str:
        number = len(self.narratives)
        text = f"{number:,} of {chosen.total:,} narratives of {name}"
        if self.request.where or predicted:
            text += f"; {chosen.matched:,} fit"
            text += f" {', '.join(self.request.where)}" if self.request.where else ""
            text += " and are of images with predictions" if predicted else ""
        if number < chosen.matched:
            text += f"; a random sample, seed {self.config.seed}"
        return text + "."

    def _of_traces(self, manifest: Manifest, told: dict[str, Told], wanted: int) -> list[str]:
        if self.traces == "none":
            inputs = ", ".join(Path(i.location).name for i in manifest.inputs[:3])
            advice = f"Build with --with-traces, or give its inputs with --narratives ({inputs})."
            return [f"No traces: boxes only. {advice}"]
        if self.traces == "boxes":
            kept = "Traces as the shards keep them: points of boxes, where the pointer dwelt."
            return [f"{kept} What lies between is unknown; --narratives shows whole traces."]
        lacking = wanted - len(told)
        return [f"{lacking:,} narratives were not found in --narratives."] if lacking else []


def write_page(
    request: PageRequest, out: Path, config: PageConfig | None = None, *, progress: bool = True
) -> PageSummary:
    """Writes a page; it appears whole or not at all.

    Args:
        request: What to show.
        out: Where to, an HTML file.
        config: Limits; the defaults if `None`.
        progress: Whether to show progress bars.

    Returns:
        What it came to.

    Raises:
        UsageError: If there is nothing to show, a file is missing, or a page of this size cannot be.
        BadDataError: If data are not what they should be.
    """
    config = config or PageConfig()
    if request.alps is None and request.predictions is None:
        raise UsageError("nothing to show: give the folder of a data set, or --predictions FILE")
    gathering = _Gathering(request, config)
    files = gathering.files
    predictions = truth = None
    if request.predictions is not None:
        predictions = read_predictions(request.predictions, request.predicted_on, files)
    if request.truth is not None:
        truth = read_truth(request.truth, files)
    if request.alps is not None:
        gathering.add_alps(request.alps, predictions, progress)
    gathering.add_things(predictions, truth)
    if not gathering.narratives:
        raise UsageError(
            "nothing to show: no narrative fits; see --where, --split and --predictions"
        )
    if files and not any(gathering.found):
        names = ", ".join(
            dict.fromkeys(f"{n.dataset}/{n.image_id}" for n in gathering.narratives[:3])
        )
        raise UsageError(
            f"image root wrong? none of {len(gathering.images):,} images (such as {names}) lies below"
            f" {', '.join(map(str, request.images)) or request.images_csv}"
        )
    document = PageDocument(
        title=f"ALPs of {Path(request.alps).absolute().name}" if request.alps else "Predictions",
        about=gathering.about,
        traces=gathering.traces,
        narratives=gathering.narratives,
        images=gathering.images,
    )
    side = _write(document, gathering.found, out, request.link_images, config, progress)
    return _summary(document, out, side)


def _write(
    document: PageDocument,
    found: list[Path | None],
    out: Path,
    links: bool,
    config: PageConfig,
    progress: bool,
) -> int:
    """Writes the file; notes in the document what became of its images. Returns the largest side."""
    some = [(number, path) for number, path in enumerate(found) if path is not None]
    room = config.max_bytes - page_size(document) - 10 * _TAGS
    budget = room // max(1, len(some)) - _TAGS
    if room < 0 or (some and not links and budget < _LEAST_BUDGET):
        raise UsageError(
            f"{len(document.narratives):,} narratives with {len(some):,} images do not fit"
            f" {config.max_bytes / 1e6:.1f} MB: show fewer (--sample), raise --max-mb, or link the"
            " images (--link-images)"
        )
    sides = [0]

    def pixels() -> Iterator[str]:
        done = 0
        paths = [path for _, path in some]
        made = (link(p, out, config) for p in paths) if links else encode_all(paths, budget, config)
        bar = tqdm(made, desc="images", total=len(some), unit="image", disable=not progress)
        for (number, _), picture in zip(some, bar, strict=True):
            yield from [""] * (number - done)
            image = document.images[number]
            image.problem, image.link = picture.problem, picture.link
            if not picture.problem:
                image.width, image.height = picture.width, picture.height
            sides.append(picture.side)
            yield picture.data
            done = number + 1

    try:
        with warnings.catch_warnings(), atomic_file(out) as stream:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # limits are ours
            write_html(stream, document, pixels(), links=links)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written ({error.strerror})") from error
    return max(sides)


def _kind_of_traces(narratives: list[PageNarrative], told: dict[str, Told]) -> str:
    if told:
        return "whole"
    return "boxes" if any(narrative.trace for narrative in narratives) else "none"


def _summary(document: PageDocument, out: Path, side: int) -> PageSummary:
    problems = Counter(image.problem for image in document.images if image.problem)
    pictured = sum(1 for i in document.images if not i.problem)
    return PageSummary(
        path=out,
        size=out.stat().st_size,
        narratives=len(document.narratives),
        alps=sum(len(narrative.alps) for narrative in document.narratives),
        images=pictured,
        image_side=side,
        problems=dict(problems.most_common()),
        predictions=sum(len(image.predictions or ()) for image in document.images),
        truth=sum(len(image.truth or ()) for image in document.images),
        traces=document.traces,
        about=document.about,
    )
