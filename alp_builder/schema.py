"""The one Arrow schema of ALP shards: every column with its doc, unit and range.

A row is one ALP (approximately localized phrase): a noun phrase of a narrative and one rough box. The
field metadata written here travels inside every shard, so that whoever opens one finds the meaning of
each column next to it; `alps stats`, the data cards and the trainer read the same metadata.

Boxes are **normalised xyxy**: `x0, y0` is the top left corner and `x1, y1` the bottom right one, as
fractions of the image's width and height, origin at the top left. `split` is not stored in the files:
it is the Hive partition (`split=train/`), which every reader turns into a column.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 2
"""Version of the columns. Readers accept this one and the one before."""

VERSION_KEY = b"alp_schema_version"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a shard.

    Attributes:
        name: Column name.
        type: Arrow type.
        doc: One sentence that says what a value means.
        unit: Unit of the value, empty where there is none.
        low: Smallest allowed value, `None` where the column has no range.
        high: Largest allowed value, `None` where it is open.
        group: `core` columns are in every shard; the others only where the build asked for them.
    """

    name: str
    type: pa.DataType
    doc: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    group: str = "core"

    def field(self) -> pa.Field:
        """The Arrow field, non-null, with doc, unit and range as metadata."""
        metadata = {"doc": self.doc, "unit": self.unit}
        if self.low is not None:
            metadata["min"] = repr(self.low)
        if self.high is not None:
            metadata["max"] = repr(self.high)
        return pa.field(self.name, self.type, nullable=False, metadata=metadata)


_SIDE = "of the box, as a fraction of the image's"
_TIGHT = "round every trace point of the window, to compare with."
_CALIBRATED = "a guess at the whole thing, see `alp_builder.calibration`."
_POINTS = pa.list_(pa.field("element", pa.float32(), nullable=False))

COLUMNS: tuple[Column, ...] = (
    Column("alp_id", pa.string(), "Stable id: narrative id, phrase index and component index."),
    Column(
        "narrative_id",
        pa.string(),
        "Hash of data set, image, annotator and caption (and a video's actor).",
    ),
    Column("dataset_id", pa.string(), "Data set of the image, as the narrative names it."),
    Column("image_id", pa.string(), "Image the narrative describes, as the narrative names it."),
    Column("annotator_id", pa.int64(), "Who spoke, as the narrative numbers them."),
    Column(
        "caption", pa.string(), "The whole narrative; `caption[char_start:char_end] == phrase`."
    ),
    Column("phrase", pa.string(), "The noun chunk as it stands in the caption."),
    Column(
        "phrase_text", pa.string(), "The phrase for a text classifier: lower case, no determiner."
    ),
    Column("head_lemma", pa.string(), "Lemma of the noun that is pointed at."),
    Column("is_plural", pa.bool_(), "Whether the phrase means several things."),
    Column("is_group", pa.bool_(), "Whether it was named as a group, such as 'a group of cows'."),
    Column("phrase_index", pa.int32(), "Which phrase of its narrative, counted from 0.", "", 0),
    Column(
        "component_index", pa.int32(), "Which component of its phrase, 0 is the main one.", "", 0
    ),
    Column(
        "char_start", pa.int32(), "First character of the phrase in the caption.", "character", 0
    ),
    Column("char_end", pa.int32(), "One past the phrase's last character.", "character", 1),
    Column("t_start", pa.float32(), "Start of the phrase's window on the recording's clock.", "s"),
    Column("t_end", pa.float32(), "End of the phrase's window on the recording's clock.", "s"),
    Column("x0", pa.float32(), f"Left side {_SIDE} width.", "image width", 0, 1),
    Column("y0", pa.float32(), f"Top side {_SIDE} height.", "image height", 0, 1),
    Column("x1", pa.float32(), f"Right side {_SIDE} width.", "image width", 0, 1),
    Column("y1", pa.float32(), f"Bottom side {_SIDE} height.", "image height", 0, 1),
    Column(
        "tight_x0", pa.float32(), f"Left side of the reference box: {_TIGHT}", "image width", 0, 1
    ),
    Column("tight_y0", pa.float32(), "Top side of the reference box.", "image height", 0, 1),
    Column("tight_x1", pa.float32(), "Right side of the reference box.", "image width", 0, 1),
    Column("tight_y1", pa.float32(), "Bottom side of the reference box.", "image height", 0, 1),
    Column("num_points", pa.int32(), "Trace points the box was made of.", "point", 1),
    Column("dwell_time", pa.float32(), "Time the pointer dwelt (moved slowly) on the box.", "s", 0),
    Column(
        "dwell_fraction", pa.float32(), "Dwell time over the window's time with trace.", "", 0, 1
    ),
    Column("num_components", pa.int32(), "Separate places the phrase's trace fell into.", "", 1),
    Column("hull_area", pa.float32(), "Area of the points' octagonal hull.", "image area", 0, 1),
    Column(
        "time_gap", pa.float32(), "Longest stretch of the window without a trace point.", "s", 0
    ),
    Column("inside_fraction", pa.float32(), "Share of the points inside the image.", "", 0, 1),
    Column("score", pa.float32(), "Quality between 0 and 1, see `alp_builder.quality`.", "", 0, 1),
    Column("trace_x", _POINTS, "The points' x, in order of time.", "image width", group="traces"),
    Column("trace_y", _POINTS, "The points' y, in order of time.", "image height", group="traces"),
    Column("trace_t", _POINTS, "The points' times.", "s", group="traces"),
    Column(
        "cal_x0",
        pa.float32(),
        f"Left side of the calibrated box: {_CALIBRATED}",
        "image width",
        0,
        1,
        "calibrated",
    ),
    Column(
        "cal_y0",
        pa.float32(),
        "Top side of the calibrated box.",
        "image height",
        0,
        1,
        "calibrated",
    ),
    Column(
        "cal_x1",
        pa.float32(),
        "Right side of the calibrated box.",
        "image width",
        0,
        1,
        "calibrated",
    ),
    Column(
        "cal_y1",
        pa.float32(),
        "Bottom side of the calibrated box.",
        "image height",
        0,
        1,
        "calibrated",
    ),
)
"""Every column there is, in the order of the files."""

BOX: tuple[str, ...] = ("x0", "y0", "x1", "y1")
"""The columns of the box."""

CALIBRATED_BOX: tuple[str, ...] = ("cal_x0", "cal_y0", "cal_x1", "cal_y1")
"""The columns of the calibrated box, in shards built with `--boxes calibrated=FILE`."""

TIGHT_BOX: tuple[str, ...] = ("tight_x0", "tight_y0", "tight_x1", "tight_y1")
"""The columns of the reference box, smallest round every point of the window."""

GROUPS: tuple[str, ...] = tuple(dict.fromkeys(column.group for column in COLUMNS))
"""Column groups, `core` first."""


def arrow_schema(groups: tuple[str, ...] = ("core",)) -> pa.Schema:
    """The schema of a shard that has the columns of the given groups.

    Args:
        groups: Names out of `GROUPS`; `core` must be among them.

    Returns:
        The Arrow schema with the version in its metadata.

    Raises:
        ValueError: If a group is unknown or `core` is missing.
    """
    if "core" not in groups or not set(groups) <= set(GROUPS):
        raise ValueError(f"column groups {groups}: expected 'core' and any of {GROUPS[1:]}")
    fields = [column.field() for column in COLUMNS if column.group in groups]
    return pa.schema(fields, metadata={VERSION_KEY: str(SCHEMA_VERSION).encode()})
