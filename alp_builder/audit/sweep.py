"""One choice after the other, on narratives with truth: which settings of the builder find things best?

Each knob is turned through its values while the others stay at the configuration's. What is compared is the
mean IoU over all nouns, those not found counting 0, so that a filter is not rewarded for what it loses.
Nothing is written: phrases are found once for each sample, and boxes take milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from tqdm import tqdm

from alp_builder.audit.samples import Sample
from alp_builder.config import BuildConfig, Value, config_dict, turned
from alp_builder.phrases import PhraseExtractor

KNOBS: dict[str, tuple[Value, ...]] = {
    "boxes.rule": ("components", "tight"),
    "window.end": ("next_word", "utterance"),
    "window.lag": (-0.6, -0.45, -0.3, -0.2, -0.1, 0.0, 0.15, 0.3),
    "trace.travel_speed": (0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0),
    "trace.min_slow_share": (0.0, 0.25, 0.5, 0.65, 0.8),
    "trace.merge_distance": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5),
    "trace.plural_merge_distance": (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5),
    "boxes.percentile": (0.0, 1.0, 2.0, 5.0, 10.0, 20.0),
    "boxes.margin": (0.0, 0.015, 0.03, 0.045, 0.06, 0.08, 0.1),
    "boxes.min_score": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
}
"""The knobs and the values tried."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one knob, on one sample.

    Attributes:
        sample: Name of the sample.
        simulated: Whether its narratives are.
        knob: Such as `window.lag`.
        value: Its value.
        is_default: Whether that is the configuration's.
        figures: See `alp_builder.audit.samples.SampleScores.figures`.
    """

    sample: str
    simulated: bool
    knob: str
    value: Value
    is_default: bool
    figures: dict[str, float]


def run_sweep(
    samples: Sequence[Sample],
    config: BuildConfig,
    extractor: PhraseExtractor,
    knobs: Mapping[str, Sequence[Value]] = KNOBS,
    progress: bool = True,
) -> list[Setting]:
    """Turns each knob on each sample.

    Args:
        samples: Narratives with truth.
        config: What the knobs are turned from.
        extractor: The pipeline that found the samples' phrases.
        knobs: Values by knob; the configuration's own value is tried too.
        progress: Whether to show a progress bar.

    Returns:
        A setting for each sample, knob and value, in this order.

    Raises:
        UsageError: If a knob does not exist or a value does not fit.
    """
    values = {knob: _with_default(config, knob, tried) for knob, tried in knobs.items()}
    settings: list[Setting] = []
    total = len(samples) * sum(map(len, values.values()))
    with tqdm(total=total, desc="sweep", unit="setting", disable=not progress) as bar:
        for sample in samples:
            for knob, tried in values.items():
                own = _value(config, knob)
                for value in tried:
                    rows = sample.rows(turned(config, {knob: value}), extractor)
                    settings.append(
                        Setting(
                            sample=sample.name,
                            simulated=sample.simulated,
                            knob=knob,
                            value=value,
                            is_default=value == own,
                            figures=sample.score(rows).figures(),
                        )
                    )
                    bar.update()
    return settings


def _value(config: BuildConfig, knob: str) -> Any:
    section, _, name = knob.partition(".")
    return config_dict(config).get(section, {}).get(name)


def _with_default(config: BuildConfig, knob: str, tried: Sequence[Value]) -> list[Value]:
    """The values and the configuration's own, in order."""
    own = _value(config, knob)
    values = list(dict.fromkeys([*tried, *([] if own is None else [own])]))
    if all(isinstance(value, int | float) for value in values):
        return sorted(values, key=float)
    return values


def winners(settings: Sequence[Setting]) -> list[tuple[str, str, Setting, Setting]]:
    """For each sample and knob the setting of the highest IoU over all nouns, and the default.

    Returns:
        Tuples of sample, knob, best setting, default setting; the default wins ties.
    """
    groups: dict[tuple[str, str], list[Setting]] = {}
    for setting in settings:
        groups.setdefault((setting.sample, setting.knob), []).append(setting)
    found = []
    for (sample, knob), members in groups.items():
        default = next(setting for setting in members if setting.is_default)
        best = max(members, key=lambda s: (s.figures["iou"], s.is_default))
        found.append((sample, knob, best, default))
    return found


def sweep_table(settings: Sequence[Setting]) -> list[str]:
    """The sweep as a Markdown table: a row for each knob and value, IoU (recall) by sample.

    The default is marked with `*`; the best IoU of a sample and knob is bold.
    """
    samples = list(dict.fromkeys(setting.sample for setting in settings))
    simulated = {setting.sample for setting in settings if setting.simulated}
    titles = [f"{name} (simulated)" if name in simulated else name for name in samples]
    best = {(sample, knob): chosen.value for sample, knob, chosen, _ in winners(settings)}
    cells: dict[tuple[str, Value], dict[str, str]] = {}
    default: set[tuple[str, Value]] = set()
    for setting in settings:
        key = (setting.knob, setting.value)
        text = f"{setting.figures['iou']:.3f}"
        if best[setting.sample, setting.knob] == setting.value:
            text = f"**{text}**"
        recall, centre = setting.figures["recall"], setting.figures["centre_inside"]
        cells.setdefault(key, {})[setting.sample] = f"{text} {recall:.2f} {centre:.2f}"
        if setting.is_default:
            default.add(key)
    lines = [
        "| knob | value | " + " | ".join(titles) + " |",
        "| --- | --- |" + " --- |" * len(samples),
    ]
    for (knob, value), row in cells.items():
        mark = " *" if (knob, value) in default else ""
        values = " | ".join(row.get(sample, "-") for sample in samples)
        lines.append(f"| {knob} | {value}{mark} | {values} |")
    return [
        *lines,
        "",
        "Each cell: mean IoU over all nouns (0 for those not found), recall, centre inside of those found.",
        "`*`: the default. Bold: best IoU of its sample and knob.",
    ]
