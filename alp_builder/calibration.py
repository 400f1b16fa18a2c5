"""Calibrated boxes: what a phrase's trace says about the extent of its thing, learnt where masks are known.

People scribble on part of a thing, and near it; the raw box is what they covered. A calibration is a linear
predictor from the columns of a shard to a better guess. For each axis a of a box with centre c_a and side s_a
(fractions of the image), with one set of coefficients for both axes,

    log s'_a = log s_a + clip(sum_k side_k f_k, -max_log, max_log)
    c'_a     = c_a + shift_0 (1/2 - c_a) + shift_1 (t_a - c_a)

where t is the tight box's centre and the features f_k are those of `SIDE_FEATURES`:

    one      1                                     dwell   log(1 + dwell time in s)
    along    log(s_a / 1/4)                        steady  dwell time over the window's time with trace
    across   log(side along the other axis / 1/4)  points  log(points / 20)
    plural   1 where the phrase is plural          components  log(components of the window)
    group    1 where it was named as a group       stuff   1 where its head is in `STUFF_NOUNS`
                                                   stuff_width  the same, of the x axis only

The last two are all that is taken of the noun: whether it names a thing or an amorphous region ("grass"),
which is known of any noun; what else a noun tells is not known for novel classes. Left out on purpose: how
early a phrase is named, which predicts much in simulated narratives (their grammar names large things first)
and misled on real ones.

What is read are the columns as a shard holds them, so a data set at hand can be calibrated as well as one that
is being built. Every step is elementwise: a box does not depend on its neighbours in a batch. `alps calibrate`
fits the coefficients; a calibration holds for boxes made as those it was fitted on, hence `made_with`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from alp_builder.arrays import Floats
from alp_builder.errors import UsageError
from alp_builder.lexicon import STUFF_NOUNS
from alp_builder.schema import BOX, TIGHT_BOX

if TYPE_CHECKING:
    from alp_builder.config import BuildConfig

SIDE_FEATURES = (
    "one", "along", "across", "dwell", "steady", "points", "components", "plural", "group", "stuff",
    "stuff_width",
)  # fmt: skip
SHIFT_FEATURES = ("to_image_centre", "to_tight_centre")

_TYPICAL_SIDE = 0.25  # where the logarithms of sides are zero
_TYPICAL_POINTS = 20.0
_MAX_BYTES = 1 << 20

Coefficient = Annotated[float, Meta(ge=-10, le=10)]
Columns = Mapping[str, npt.NDArray[Any]]
"""Columns of B rows of a shard, each (B,)."""

INPUTS = (
    *BOX, *TIGHT_BOX, "dwell_time", "dwell_fraction", "num_points", "num_components", "is_plural",
    "is_group", "head_lemma",
)  # fmt: skip
"""The columns a calibration reads."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Coefficients of calibrated boxes, see the module.

    Attributes:
        format: Version of the formula.
        side: One coefficient for each of `SIDE_FEATURES`.
        shift: One for each of `SHIFT_FEATURES`.
        max_log: Largest growth or shrinkage of a side, as a logarithm.
        min_side: Shortest side of a calibrated box, in image sizes.
        made_with: Choices that the boxes it was fitted on were made with, by field.
        fitted_on: What it was fitted on and what it reached there, in words and figures.
    """

    format: Annotated[int, Meta(ge=2, le=2)] = 2
    side: dict[str, Coefficient]
    shift: dict[str, Coefficient]
    max_log: Annotated[float, Meta(gt=0, le=3)] = 1.5
    min_side: Annotated[float, Meta(gt=0, le=1)] = 0.02
    made_with: dict[str, Any] = {}
    fitted_on: dict[str, Any] = {}

    def __post_init__(self) -> None:
        for name, found, expected in (
            ("side", self.side, SIDE_FEATURES),
            ("shift", self.shift, SHIFT_FEATURES),
        ):
            if set(found) != set(expected):
                raise ValueError(f"{name} has {sorted(found)}, expected {sorted(expected)}")

    @property
    def sha256(self) -> str:
        """Hash of all it holds, in hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


def read_calibration(path: Path) -> Calibration:
    """Reads a calibration.

    Raises:
        UsageError: If it cannot be read, or is none of ours.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise UsageError(
                f"{path}: larger than any calibration; expected a file of `alps calibrate`"
            )
        return msgspec.json.decode(data, type=Calibration)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); make one: `alps calibrate`"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UsageError(
            f"{path}: no calibration ({error}); make one with `alps calibrate`"
        ) from error


def made_with(config: BuildConfig) -> dict[str, Any]:
    """The choices a box depends on, by field: windows, traces, and of the boxes all but the filters."""
    tree: dict[str, Any] = msgspec.to_builtins(config)
    filters = ("min_points", "min_score", "plural_components", "plural_min_time")
    return {
        f"{section}.{name}": value
        for section in ("window", "trace", "boxes")
        for name, value in tree[section].items()
        if name not in filters
    }


def check_fits(calibration: Calibration, config: BuildConfig) -> None:
    """Refuses a calibration for boxes made otherwise.

    Raises:
        UsageError: If the configuration makes other boxes than those the calibration was fitted on.
    """
    here = made_with(config)
    other = {
        name: value
        for name, value in calibration.made_with.items()
        if name in here and here[name] != value
    }
    if other:
        name, value = next(iter(other.items()))
        raise UsageError(
            f"the calibration was fitted with {name} = {value}, this build has {here[name]};"
            " fit it anew with `alps calibrate`, or build as it was"
        )


def side_features(columns: Columns) -> Floats:
    """`SIDE_FEATURES` of B boxes, float64 (features, 2, B): first of the x axis, then of the y axis."""
    sides = _sides(columns)
    logs = np.log(np.maximum(sides, 1e-6) / _TYPICAL_SIDE)
    one = np.ones_like(logs)
    dwell = np.log1p(np.maximum(_column(columns, "dwell_time"), 0.0))
    points = np.log(np.maximum(_column(columns, "num_points"), 1.0) / _TYPICAL_POINTS)
    components = np.log(np.maximum(_column(columns, "num_components"), 1.0))
    stuff = np.array([lemma in STUFF_NOUNS for lemma in columns["head_lemma"]], np.float64)
    kinds = (_column(columns, "is_plural"), _column(columns, "is_group"), stuff)
    steady = _column(columns, "dwell_fraction")
    shared = [one * values for values in (dwell, steady, points, components, *kinds)]
    along_x = np.array([[1.0], [0.0]])
    return np.stack([one, logs, logs[::-1], *shared, along_x * stuff])


def shift_features(columns: Columns) -> Floats:
    """`SHIFT_FEATURES` of B boxes, float64 (features, 2, B)."""
    centre, tight = _centres(columns, BOX), _centres(columns, TIGHT_BOX)
    return np.stack([0.5 - centre, tight - centre])


def calibrated_boxes(calibration: Calibration, columns: Columns) -> Floats:
    """Calibrates boxes.

    Args:
        calibration: The coefficients.
        columns: At least `INPUTS`, of B rows.

    Returns:
        float64 (B, 4), normalised xyxy, inside the image, no side under `min_side`.
    """
    side = np.array([calibration.side[name] for name in SIDE_FEATURES])
    shift = np.array([calibration.shift[name] for name in SHIFT_FEATURES])
    return predict(
        side,
        shift,
        side_features(columns),
        shift_features(columns),
        _sides(columns),
        _centres(columns, BOX),
        calibration.max_log,
        calibration.min_side,
    )


def predict(
    side: Floats,
    shift: Floats,
    side_inputs: Floats,
    shift_inputs: Floats,
    sides: Floats,
    centres: Floats,
    max_log: float,
    min_side: float,
) -> Floats:
    """The formula of the module.

    Args:
        side: float64 (side features,).
        shift: float64 (shift features,).
        side_inputs: float64 (side features, 2, B).
        shift_inputs: float64 (shift features, 2, B).
        sides: float64 (2, B), of the raw boxes.
        centres: float64 (2, B), of the raw boxes.
        max_log: Largest change of a side, as a logarithm.
        min_side: Shortest side.

    Returns:
        float64 (B, 4), normalised xyxy.
    """
    # Sums term by term: a matrix product may round differently from batch to batch.
    growth, moved = np.zeros_like(sides), centres.copy()
    for weight, values in zip(side, side_inputs, strict=True):
        growth += weight * values
    for weight, values in zip(shift, shift_inputs, strict=True):
        moved += weight * values
    half = np.clip(sides * np.exp(np.clip(growth, -max_log, max_log)), min_side, 1.0) / 2
    low, high = np.clip(moved - half, 0.0, 1.0), np.clip(moved + half, 0.0, 1.0)
    short = high - low < min_side  # cut off at the image's edge
    centre = np.clip((low + high) / 2, min_side / 2, 1 - min_side / 2)
    low = np.where(short, centre - min_side / 2, low)
    high = np.where(short, centre + min_side / 2, high)
    return np.concatenate([low, high]).T


def raw_sides_and_centres(columns: Columns) -> tuple[Floats, Floats]:
    """Sides and centres of the raw boxes, each float64 (2, B)."""
    return _sides(columns), _centres(columns, BOX)


def _column(columns: Columns, name: str) -> Floats:
    return np.asarray(columns[name], np.float64)


def _sides(columns: Columns) -> Floats:
    x0, y0, x1, y1 = (_column(columns, name) for name in BOX)
    return np.stack([x1 - x0, y1 - y0])


def _centres(columns: Columns, names: tuple[str, ...]) -> Floats:
    x0, y0, x1, y1 = (_column(columns, name) for name in names)
    return np.stack([(x0 + x1) / 2, (y0 + y1) / 2])
