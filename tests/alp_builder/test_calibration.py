from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alp_builder import read_alps
from alp_builder.build import BuildSummary
from alp_builder.calibration import (
    INPUTS,
    SHIFT_FEATURES,
    SIDE_FEATURES,
    Calibration,
    calibrated_boxes,
    check_fits,
    made_with,
    read_calibration,
)
from alp_builder.cli.build import with_boxes
from alp_builder.config import BuildConfig, turned
from alp_builder.errors import UsageError
from alp_builder.extraction import AlpExtractor
from alp_builder.manifest import fingerprint, read_manifest
from alp_builder.schema import BOX, CALIBRATED_BOX
from alp_builder.validation import validate
from tests.alp_builder.conftest import Builder
from tests.alp_builder.simulated import simulated_records, write_narratives

WEIGHTS = len(SIDE_FEATURES) + len(SHIFT_FEATURES)


def calibration(**changes: Any) -> Calibration:
    """One that changes nothing but what is named."""
    side = dict.fromkeys(SIDE_FEATURES, 0.0) | changes.pop("side", {})
    shift = dict.fromkeys(SHIFT_FEATURES, 0.0) | changes.pop("shift", {})
    return Calibration(side=side, shift=shift, **changes)


def columns(count: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((2, 2, count)), axis=0)
    tight = np.sort(rng.random((2, 2, count)), axis=0)
    values = [*corners[0], *corners[1], *tight[0], *tight[1]]
    values += [rng.exponential(1, count), rng.random(count), rng.integers(1, 90, count)]
    values += [rng.integers(1, 5, count), rng.random(count) < 0.4, rng.random(count) < 0.1]
    values += [rng.choice(["dog", "grass", "sky", "table"], count)]
    return dict(zip(INPUTS, values, strict=True))


def test_without_coefficients_boxes_stay() -> None:
    given_columns = columns(50, 0)
    raw = np.stack([given_columns[name] for name in BOX], 1)
    large = ((raw[:, 2:] - raw[:, :2]) > 0.02).all(1)
    np.testing.assert_allclose(calibrated_boxes(calibration(), given_columns)[large], raw[large])


def test_the_constant_scales_about_the_centre() -> None:
    inputs = columns(1, 1) | {
        n: np.array([v]) for n, v in zip(BOX, (0.4, 0.3, 0.5, 0.5), strict=True)
    }
    grown = calibrated_boxes(calibration(side={"one": float(np.log(2))}), inputs)[0]
    np.testing.assert_allclose(grown, [0.35, 0.2, 0.55, 0.6])
    moved = calibrated_boxes(calibration(shift={"to_image_centre": 1.0}), inputs)[0]
    np.testing.assert_allclose(moved, [0.45, 0.4, 0.55, 0.6])


def test_only_stuff_grows_where_only_stuff_shall() -> None:
    inputs = columns(40, 2) | dict(
        zip(BOX, np.full((4, 40), [[0.4], [0.4], [0.6], [0.6]]), strict=True)
    )
    inputs["head_lemma"][:3] = ["grass", "dog", "sky"]
    boxes = calibrated_boxes(calibration(side={"stuff_width": float(np.log(2))}), inputs)
    is_stuff = np.isin(inputs["head_lemma"], ["grass", "sky"])
    np.testing.assert_allclose(boxes[is_stuff], [[0.3, 0.4, 0.7, 0.6]] * is_stuff.sum())
    np.testing.assert_allclose(boxes[~is_stuff], [[0.4, 0.4, 0.6, 0.6]] * (~is_stuff).sum())
    both = calibrated_boxes(calibration(side={"stuff": float(np.log(2))}), inputs)
    np.testing.assert_allclose(both[0], [0.3, 0.3, 0.7, 0.7])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=WEIGHTS, max_size=WEIGHTS), st.integers(0, 1000))
def test_any_coefficients_give_boxes_inside_the_image(weights: list[float], seed: int) -> None:
    cut = len(SIDE_FEATURES)
    made = calibration(
        side=dict(zip(SIDE_FEATURES, weights[:cut], strict=True)),
        shift=dict(zip(SHIFT_FEATURES, weights[cut:], strict=True)),
    )
    inputs = columns(20, seed)
    boxes = calibrated_boxes(made, inputs)
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 0.02 - 1e-12).all()
    alone = [
        calibrated_boxes(made, {n: v[i : i + 1] for n, v in inputs.items()}) for i in range(20)
    ]
    assert np.array_equal(np.concatenate(alone), boxes)


class TestFiles:
    def test_a_file_comes_back(self, tmp_path: Path) -> None:
        path = tmp_path / "calibration.json"
        path.write_bytes(msgspec.json.encode(calibration(side={"one": 0.5})))
        read = read_calibration(path)
        assert read == calibration(side={"one": 0.5})
        assert read.sha256 != calibration().sha256

    @pytest.mark.parametrize(
        "text",
        [
            b"", b"{", b"[]", b"\xff", b"[" * 100_000,
            b'{"format": 2, "side": {}, "shift": {}}',
            msgspec.json.encode(calibration()).replace(b'"format":2', b'"format":1'),
            msgspec.json.encode(calibration()).replace(b'"one":0.0', b'"one":11'),
            msgspec.json.encode(calibration()).replace(b'"one":0.0', b'"two":0.0'),
            msgspec.json.encode(calibration()).replace(b'"max_log":1.5', b'"max_log":99'),
            b" " * (2 << 20),
        ],
    )  # fmt: skip
    def test_what_is_none_is_refused(self, tmp_path: Path, text: bytes) -> None:
        path = tmp_path / "calibration.json"
        path.write_bytes(text)
        with pytest.raises(UsageError, match="calibrat"):
            read_calibration(path)

    def test_boxes_made_otherwise_are_refused(self) -> None:
        made = calibration(made_with=made_with(BuildConfig()))
        check_fits(made, BuildConfig())
        check_fits(made, turned(BuildConfig(), {"boxes.min_score": 0.3}))
        with pytest.raises(UsageError, match=r"boxes\.margin"):
            check_fits(made, turned(BuildConfig(), {"boxes.margin": 0.01}))


class TestBuild:
    def _build(self, tmp_path: Path, build_here: Builder, here: Any) -> BuildSummary:
        from alp_builder.build import build
        from alp_builder.inputs import NarrativeSource

        file = write_narratives(tmp_path / "in.jsonl", simulated_records(12))
        path = tmp_path / "calibration.json"
        path.write_bytes(msgspec.json.encode(calibration(side={"one": 0.3})))
        config = with_boxes(BuildConfig(), f"calibrated={path}")
        source = NarrativeSource(location=str(file), split="train")
        return build([source], tmp_path / "out", config, progress=False, executor=here)

    def test_calibrated_boxes_stand_beside_the_raw_ones(
        self, tmp_path: Path, build_here: Builder, here: Any
    ) -> None:
        self._build(tmp_path, build_here, here)
        manifest = validate(tmp_path / "out", progress=False)
        assert manifest.groups == ["core", "calibrated"]
        used = calibration(side={"one": 0.3})
        assert manifest.config["calibration"]["sha256"] == used.sha256
        table = read_alps(tmp_path / "out")
        inputs = {name: table[name].to_numpy(zero_copy_only=False) for name in INPUTS}
        expected = calibrated_boxes(used, inputs).astype(np.float32)
        stored = np.stack([table[name].to_numpy() for name in CALIBRATED_BOX], 1)
        assert np.array_equal(stored, expected)
        build_here(tmp_path / "in.jsonl", tmp_path / "plain")
        plain = read_alps(tmp_path / "plain")
        assert plain.equals(table.drop_columns(list(CALIBRATED_BOX)))
        assert "calibration" not in read_manifest(tmp_path / "plain").config

    def test_another_calibration_is_another_build(self) -> None:
        configs = [
            msgspec.structs.replace(BuildConfig(), calibration=made)
            for made in (None, calibration(), calibration(side={"one": 0.1}))
        ]
        assert len({fingerprint([], config, {})["config"] for config in configs}) == 3

    def test_shorthands(self, tmp_path: Path) -> None:
        assert with_boxes(BuildConfig(), "tight").boxes.rule == "tight"
        assert with_boxes(BuildConfig(), None) == BuildConfig()
        for rule in ("loose", "calibrated", "calibrated=", "tight=x", f"calibrated={tmp_path}/no"):
            with pytest.raises(UsageError):
                with_boxes(BuildConfig(), rule)

    def test_the_extractor_refuses_what_does_not_fit(self, alp_extractor: AlpExtractor) -> None:
        made = calibration(made_with={"window.lag": 0.5})
        config = msgspec.structs.replace(BuildConfig(), calibration=made)
        with pytest.raises(UsageError, match="fitted with"):
            AlpExtractor(config, alp_extractor.phrases)
