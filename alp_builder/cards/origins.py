"""Where narrated images and their narratives come from: licences, links and citations by data set.

The facts are those of the data sets' own pages: Localized Narratives and Video Localized Narratives publish
their annotations under CC BY 4.0; images keep the licences of their own data sets. A `dataset_id` this module
does not know is an unknown origin, whose licence the card's author has to give.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

CC_BY = "cc-by-4.0"
UNKNOWN_LICENSE = "unknown"

LICENSE_URLS = {
    CC_BY: "https://creativecommons.org/licenses/by/4.0/",
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "cc-by-sa-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "cc-by-nc-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "mit": "https://opensource.org/license/mit",
}
"""Pages of licences by their identifiers."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A known source of narratives.

    Attributes:
        family: Short name, such as "coco".
        title: Full name.
        pattern: Regular expression that a `dataset_id` of it starts with, letter case ignored.
        license: Identifier of the narratives' licence.
        images: What holds for the images.
        people: Who spoke.
        simulated: Whether it is simulated.
    """

    family: str
    title: str
    pattern: str
    license: str
    images: str
    people: str
    simulated: bool = False


_ANNOTATORS = (
    "Paid annotators described each image aloud in English while moving the mouse over what they spoke of,"
    " then typed what they had said (Pont-Tuset et al., ECCV 2020). Each is known by a number alone."
)
_FLICKR = "photographs from Flickr, each under the licence its author chose"

ORIGINS: tuple[Origin, ...] = (
    Origin(
        family="simulated",
        title="a simulated world (`alps simulate`)",
        pattern=r"simulated",
        license="apache-2.0",
        images="drawn by this program; no photograph is among them",
        people="Nobody spoke: sentences, timings and traces are drawn at random, by seed.",
        simulated=True,
    ),
    Origin(
        family="coco",
        title="Localized Narratives of COCO",
        pattern=r"(ms)?coco([_-]|$)",
        license=CC_BY,
        images=_FLICKR + "; COCO's terms of use apply",
        people=_ANNOTATORS,
    ),
    Origin(
        family="open_images",
        title="Localized Narratives of Open Images",
        pattern=r"open_?images",
        license=CC_BY,
        images="photographs from Flickr that were listed under CC BY 2.0",
        people=_ANNOTATORS,
    ),
    Origin(
        family="flickr30k",
        title="Localized Narratives of Flickr30k",
        pattern=r"flickr?30k",
        license=CC_BY,
        images="photographs from Flickr, for non-commercial research and education",
        people=_ANNOTATORS,
    ),
    Origin(
        family="ade20k",
        title="Localized Narratives of ADE20K",
        pattern=r"ade20k",
        license=CC_BY,
        images="photographs of several collections, for non-commercial research and education",
        people=_ANNOTATORS,
    ),
    Origin(
        family="vidln",
        title="Video Localized Narratives",
        pattern=r"(vidln_)?(ovis|uvo|oops)",
        license=CC_BY,
        images="frames of the videos of OVIS, UVO and Oops, under the terms of those data sets",
        people=(
            "Paid annotators told what each actor of a video does while moving the mouse over key frames"
            " (Voigtlaender et al., CVPR 2023). Each is known by a number alone."
        ),
    ),
)
"""Known sources."""

UNKNOWN = Origin(
    family="unknown",
    title="narratives of unknown origin",
    pattern=r"",
    license=UNKNOWN_LICENSE,
    images="not known to this program",
    people="Not known to this program.",
)


def origins_of(dataset_ids: Iterable[str]) -> list[Origin]:
    """The sources of the given `dataset_id`s, each once, in the order of `ORIGINS`, `UNKNOWN` last."""
    found = {_origin(dataset_id).family for dataset_id in dataset_ids}
    return [origin for origin in (*ORIGINS, UNKNOWN) if origin.family in found]


def origin_named(family: str) -> Origin:
    """The source of a family's name."""
    return next(origin for origin in (*ORIGINS, UNKNOWN) if origin.family == family)


def license_of(origins: Iterable[Origin]) -> str:
    """The licence that follows from the sources: theirs if they agree, else unknown."""
    found = {origin.license for origin in origins}
    return found.pop() if len(found) == 1 else UNKNOWN_LICENSE


def _origin(dataset_id: str) -> Origin:
    for origin in ORIGINS:
        if re.match(origin.pattern, dataset_id.lower()):
            return origin
    return UNKNOWN
