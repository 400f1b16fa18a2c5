"""What is changed, one factor at a time: the ablations, and the studies of why a claim fails.

Levels are rows like any other. Every factor has a row of the table as one of its levels, so that row is
trained once for the table and for all factors.
"""

from __future__ import annotations

import msgspec

from pipelines.table.plan import PRESETS, ROWS, Row


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """A choice and its levels.

    Attributes:
        name: Short name, part of file names.
        title: What is chosen.
        levels: Label and row of each level; one of them is a row of the table.
    """

    name: str
    title: str
    levels: tuple[tuple[str, Row], ...]


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """Factors that are run and shown together.

    Attributes:
        name: Name of the files.
        heading: Of the page.
        about: What is changed, the first sentence of the page.
        split: Split that is evaluated unless told otherwise.
        seeds: Seeds unless told otherwise.
        factors: The factors.
    """

    name: str
    heading: str
    about: str
    split: str
    seeds: tuple[int, ...]
    factors: tuple[Factor, ...]


_TABLE = {row.name: row for row in ROWS}
_ALPS = _TABLE["fcosmo_alps"]
_MASKRCNN_ALPS = _TABLE["maskrcnn_alps"]

_BOX = "data.train.alps.mapper.quantization"
_COLUMNS = "model.columns"


def _level(
    name: str,
    *changes: str,
    of: Row = _ALPS,
    profile: str = "coco",
    percent: int = 100,
    config: str = "",
    times: int = 1,
) -> Row:
    """A row of the table with a change."""
    return msgspec.structs.replace(
        of,
        name=name,
        changes=changes,
        profile=profile,
        percent=percent,
        config=config,
        times=times,
    )


ABLATIONS = Collection(
    name="ablations",
    heading="Ablations, in miniature",
    about="One factor at a time, round FCOS-MO with ALPs unless it says otherwise",
    split="test",
    seeds=PRESETS["cpu"].seeds,
    factors=(
        Factor(
            name="quantization",
            title="box quantization",
            levels=(
                ("none", _level("quantization_none", f"{_BOX}.kind=none")),
                ("uniform 1 to 2", _level("quantization_uniform", f"{_BOX}.kind=uniform")),
                ("fixed 8", _level("quantization_fixed", f"{_BOX}.kind=fixed")),
                ("snap 2 to 8", _level("quantization_snap_2_8", f"+{_BOX}.cells=[2,8]")),
                ("snap 4 to 16", _ALPS),
                ("snap 8 to 32", _level("quantization_snap_8_32", f"+{_BOX}.cells=[8,32]")),
            ),
        ),
        Factor(
            name="noise",
            title="noise profile of the narrator",
            levels=(
                ("clean", _level("noise_clean", profile="clean")),
                ("vidln", _level("noise_vidln", profile="vidln")),
                ("coco", _ALPS),
            ),
        ),
        Factor(
            name="mask_head",
            title="mask head",
            levels=(
                ("4 convolutions", _level("mask_head_fcn", config="fcosmo_alps_fcn.py")),
                ("HG-20", _ALPS),
                ("HG-32", _level("mask_head_hg32", "model.mask_branch.head.depth=32")),
                (
                    "HG-52, crop 32",
                    _level(
                        "mask_head_hg52",
                        "model.mask_branch.head.depth=52",
                        "model.mask_branch.head.crop_size=32",
                    ),
                ),
            ),
        ),
        Factor(
            name="box_loss",
            title="box loss on ALPs",
            levels=(
                ("0", _ALPS),
                ("0.5", _level("box_loss_05", "model.alp.box=0.5")),
                ("1", _level("box_loss_1", "model.alp.box=1.0")),
                (
                    "1, not quantized",
                    _level("box_loss_1_raw", "model.alp.box=1.0", f"{_BOX}.kind=none"),
                ),
            ),
        ),
        Factor(
            name="box_loss_maskrcnn",
            title="box losses on ALPs in Mask R-CNN*, of regions and proposals",
            levels=(
                ("0", _MASKRCNN_ALPS),
                (
                    "1",
                    _level(
                        "box_loss_maskrcnn_1",
                        "model.alp.box=1.0",
                        "model.alp.proposal_box=1.0",
                        of=_MASKRCNN_ALPS,
                    ),
                ),
            ),
        ),
        Factor(
            name="negatives",
            title="phrases of other images as negatives",
            levels=(
                ("weight 0", _level("negatives_0", f"{_COLUMNS}.foreign_weight=0.0")),
                ("weight 0.125", _ALPS),
                ("weight 1", _level("negatives_1", f"{_COLUMNS}.foreign_weight=1.0")),
                (
                    "0.125, base names too",
                    _level(
                        "negatives_base",
                        f"{_COLUMNS}.base_columns=true",
                        f"{_COLUMNS}.base_weight=0.125",
                    ),
                ),
            ),
        ),
        Factor(
            name="base_phrases",
            title="phrases of ALPs that name base classes",
            levels=(
                ("learned", _ALPS),
                (
                    "left to the masks",
                    _level("base_phrases_left", f"{_COLUMNS}.base_phrases=false"),
                ),
            ),
        ),
        Factor(
            name="alternation",
            title="mask batches : ALP batches",
            levels=(
                ("3 : 1", _level("alternation_3_1", "data.train.alternation.masks=3")),
                ("1 : 1", _ALPS),
                ("1 : 3", _level("alternation_1_3", "data.train.alternation.alps=3")),
            ),
        ),
        Factor(
            name="schedule",
            title="steps",
            levels=(("as in the table", _ALPS), ("twice as many", _level("schedule_2", times=2))),
        ),
        Factor(
            name="schedule_maskrcnn",
            title="steps of Mask R-CNN*",
            levels=(
                ("as in the table", _MASKRCNN_ALPS),
                (
                    "twice as many",
                    _level("schedule_maskrcnn_2", of=_MASKRCNN_ALPS, times=2),
                ),
            ),
        ),
        Factor(
            name="alps",
            title="number of ALPs",
            levels=(
                ("1 %", _level("alps_1", percent=1)),
                ("10 %", _level("alps_10", percent=10)),
                ("100 %", _ALPS),
            ),
        ),
    ),
)
"""The method's choices, judged as the table is; and what imprecise boxes do to Mask R-CNN*, of which the paper
says that they hurt it more."""

_FCOSMO_NONE = _TABLE["fcosmo_none"]
_NAMES_128 = ("model.head.conv_dims=[128,128]", "model.head.classifier.in_channels=128")
_KNOWN = (f"{_COLUMNS}.known_weight=1.0", f"{_COLUMNS}.max_phrases=64")

STUDIES = Collection(
    name="studies",
    heading="Studies of the table's detectors",
    about="One change at a time of a row of the table",
    split="val",
    seeds=(0,),
    factors=(
        Factor(
            name="points",
            title="FCOS-MO without ALPs: where its points are, and how wide its towers",
            levels=(
                ("strides 4 to 16, 64 channels", _FCOSMO_NONE),
                (
                    "strides 8 to 32, 64 channels",
                    _level("points_8", of=_FCOSMO_NONE, config="fcosmo_none_stride8.py"),
                ),
                (
                    "strides 8 to 32, 128 channels",
                    _level(
                        "points_8_wide",
                        *_NAMES_128,
                        of=_FCOSMO_NONE,
                        config="fcosmo_none_stride8.py",
                    ),
                ),
            ),
        ),
        Factor(
            name="towers",
            title="FCOS-MO with ALPs: convolutions of a tower",
            levels=(
                ("2", _ALPS),
                ("4", _level("towers_4", "model.head.conv_dims=[64,64,64,64]")),
            ),
        ),
        Factor(
            name="noise_maskrcnn",
            title="Mask R-CNN* with ALPs: noise profile of the narrator",
            levels=(
                ("clean", _level("noise_maskrcnn_clean", of=_MASKRCNN_ALPS, profile="clean")),
                ("coco", _MASKRCNN_ALPS),
            ),
        ),
        Factor(
            name="width",
            title="FCOS-MO with ALPs: channels of a tower",
            levels=(("64", _ALPS), ("128", _level("towers_wide", *_NAMES_128))),
        ),
        Factor(
            name="known",
            title="FCOS-MO with ALPs: common phrases as negatives at things of base classes",
            levels=(
                ("weight 0", _ALPS),
                ("weight 1", _level("known_1", *_KNOWN)),
                (
                    "weight 1, 100 detections an image",
                    _level("known_1_100", *_KNOWN, "model.max_detections=100"),
                ),
            ),
        ),
        Factor(
            name="positives",
            title="FCOS-MO with ALPs: weight of a positive point",
            levels=(
                ("1", _ALPS),
                ("quality of its ALP", _level("positives_quality", "model.alp.by_quality=true")),
                (
                    "IoU of its box with its ALP",
                    _level("positives_agreement", "model.alp.by_agreement=true"),
                ),
            ),
        ),
        Factor(
            name="rate",
            title="FCOS-MO without ALPs: learning rate",
            levels=(
                ("0.001", _level("rate_half", "optimizer.lr=0.001", of=_FCOSMO_NONE)),
                ("0.002", _FCOSMO_NONE),
                ("0.004", _level("rate_double", "optimizer.lr=0.004", of=_FCOSMO_NONE)),
            ),
        ),
    ),
)
"""Why a model is where it is; on `val`, for choices to be made by them."""

COLLECTIONS = {collection.name: collection for collection in (ABLATIONS, STUDIES)}
