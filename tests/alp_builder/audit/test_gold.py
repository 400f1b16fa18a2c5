from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from alp_builder import read_alps
from alp_builder.audit.gold import NounScores, read_gold, score_nouns
from alp_builder.audit.report import gold_figures, gold_table
from alp_builder.errors import UsageError
from alp_builder.phrases import PhraseExtractor
from alp_builder.schema import BOX, TIGHT_BOX
from tests.alp_builder.conftest import Builder

_HEADER = "dataset_id,image_id,caption,char_start,char_end,x0,y0,x1,y1,is_group,is_stuff\n"
_CAPTION = "two red dogs on a field"
_ROWS = (
    f"d,007,{_CAPTION},8,12,0,0,0.5,1,0,0\n"
    f"d,007,{_CAPTION},8,12,0.5,0,1,1,0,0\n"
    f"d,007,{_CAPTION},18,23,0,0,1,1,0,1\n"
    'd,007,"other, quoted",0,5,0,0,1,1,1,0\n'
)


def _gold(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "gold.csv"
    file.write_text(text)
    return file


def _alps(*rows: tuple[int, int, int, tuple[float, ...]], image: str = "007") -> pa.Table:
    """ALPs of the caption: span, component and box."""
    return pa.Table.from_pylist(
        [
            {"dataset_id": "d", "image_id": image, "caption": _CAPTION, "char_start": start,
             "char_end": end, "component_index": component, **dict(zip(BOX, box, strict=True))}
            for start, end, component, box in rows
        ]
    )  # fmt: skip


class TestReading:
    def test_boxes_are_gathered_by_noun(self, tmp_path: Path) -> None:
        gold = read_gold(_gold(tmp_path, _HEADER + _ROWS))
        assert gold.keys[0] == ("d", "007", "other, quoted", 0, 5)
        assert gold.keys[1:] == [("d", "007", _CAPTION, 8, 12), ("d", "007", _CAPTION, 18, 23)]
        assert [boxes.shape for boxes in gold.boxes] == [(1, 4), (2, 4), (1, 4)]
        assert gold.kinds == ["group", "thing", "stuff"]

    def test_kinds_are_optional(self, tmp_path: Path) -> None:
        lines = (_HEADER + _ROWS).splitlines()
        text = "\n".join(line.rsplit(",", 2)[0] for line in lines)
        assert read_gold(_gold(tmp_path, text)).kinds == ["thing"] * 3

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "not a readable CSV"),
            ("a,b\n1,2\n", "lacks the columns dataset_id, image_id"),
            (_HEADER + "d,i,c,zero,1,0,0,1,1,0,0\n", "is no number"),
            (_HEADER + "d,i,c,0,1,,0,1,1,0,0\n", "is no number"),
            (_HEADER + "d,i,c,0,1,0,0,1,1,yes,0\n", "is no number"),
            (_HEADER + "d,i,c,0,1,nan,0,1,1,0,0\n", "has no area"),
            (_HEADER + "d,i,c,0,1,1,0,0,1,0,0\n", "has no area"),
            (_HEADER + 'd,i,"c,0', "not a readable CSV"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, text: str, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            read_gold(_gold(tmp_path, text))

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"none\.csv: not a readable CSV"):
            read_gold(tmp_path / "none.csv")

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UsageError, match="not a readable CSV"):
            read_gold(tmp_path / "x.csv")


class TestScoring:
    def test_a_noun_is_scored_by_the_main_box_of_its_phrase(self, tmp_path: Path) -> None:
        gold = read_gold(_gold(tmp_path, _HEADER + _ROWS))
        alps = _alps(
            (0, 12, 0, (0.5, 0.0, 0.75, 1.0)),
            (0, 12, 1, (0.5, 0.0, 1.0, 1.0)),
            (16, 22, 0, (0.0, 0.0, 1.0, 1.0)),
        )
        scores = score_nouns(gold, alps)
        assert scores.found.tolist() == [False, True, False]
        assert (scores.iou[1], scores.coverage[1], scores.area_ratio[1]) == (0.5, 0.5, 0.5)
        assert scores.centre_inside[1] == 1
        assert np.isnan(scores.iou[[0, 2]]).all()

    def test_the_shortest_phrase_that_covers_it_counts(self, tmp_path: Path) -> None:
        gold = read_gold(_gold(tmp_path, _HEADER + _ROWS))
        alps = _alps((0, 23, 0, (0, 0, 0.1, 0.1)), (4, 12, 0, (0.0, 0.0, 0.5, 1.0)))
        assert score_nouns(gold, alps).iou[1] == 1

    def test_other_images_do_not_count(self, tmp_path: Path) -> None:
        gold = read_gold(_gold(tmp_path, _HEADER + _ROWS))
        assert not score_nouns(gold, _alps((0, 12, 0, (0, 0, 1, 1)), image="7")).found.any()


def test_figures_are_over_the_nouns_found() -> None:
    nan = float("nan")
    scores = NounScores(
        found=np.array([True, True, False, True]),
        iou=np.array([0.2, 0.4, nan, 0.9]),
        coverage=np.array([0.3, 0.5, nan, 1.0]),
        area_ratio=np.array([0.5, 1.0, nan, 4.0]),
        centre_inside=np.array([1.0, 0.0, nan, 1.0]),
        kinds=["thing", "thing", "thing", "stuff"],
    )
    figures = gold_figures({"default": scores})["rules"]["default"]
    assert (figures["nouns"], figures["found"], figures["recall"]) == (4, 3, 0.75)
    assert figures["iou_mean"] == pytest.approx(0.5)
    assert figures["iou_median"] == pytest.approx(0.4)
    assert figures["area_ratio_median"] == 1
    assert figures["centre_inside"] == pytest.approx(2 / 3)
    assert figures["iou_mean_ci95"][0] <= 0.5 <= figures["iou_mean_ci95"][1]
    assert figures["by_kind"]["thing"]["iou_mean"] == pytest.approx(0.3)
    assert set(figures["by_kind"]) == {"thing", "stuff"}
    table = "\n".join(gold_table({"rules": {"default": figures}}))
    assert "0.750" in table
    assert "0.500 [" in table


def test_a_kind_of_which_none_was_found_has_no_figures() -> None:
    nothing = np.array([float("nan")])
    scores = NounScores(np.array([False]), nothing, nothing, nothing, nothing, ["group"])
    figures = gold_figures({"default": scores})
    assert figures["rules"]["default"]["recall"] == 0
    assert figures["rules"]["default"]["iou_mean"] is None
    assert " -" in gold_table(figures)[2]


class TestRealTraces:
    """The real narratives beside the project, built with the defaults, against boxes drawn by eye."""

    @pytest.mark.parametrize("name", ["ovis_in_ln_format.jsonl", "OVIS_train_sample.jsonl"])
    def test_the_defaults_reach_what_was_set_as_the_goal(
        self, name: str, shared_data: Path, tmp_path: Path, build_here: Builder
    ) -> None:
        folder = shared_data / "vidln"
        summary = build_here(folder / name, tmp_path / "out")
        assert not summary.rejected
        assert summary.counts["narratives"] == 15
        rows = read_alps(tmp_path / "out")
        gold = read_gold(folder / "gold_boxes.csv")
        rules = {"default": score_nouns(gold, rows), "tight": score_nouns(gold, rows, TIGHT_BOX)}
        figures = gold_figures(rules)["rules"]
        default, tight = figures["default"], figures["tight"]
        assert default["nouns"] == tight["nouns"] == 50
        assert default["recall"] >= 0.94
        assert default["iou_mean"] >= 0.28
        assert default["centre_inside"] >= 0.92
        assert default["centre_inside"] > tight["centre_inside"]
        assert default["iou_mean"] > tight["iou_mean"]

    def test_the_tight_rule_gives_the_tight_boxes(
        self, shared_data: Path, tmp_path: Path, build_here: Builder
    ) -> None:
        file = shared_data / "vidln" / "ovis_in_ln_format.jsonl"
        build_here(file, tmp_path / "tight", "boxes.rule=tight", "boxes.min_side=0.0")
        rows = read_alps(tmp_path / "tight")
        for name, tight in zip(BOX, TIGHT_BOX, strict=True):
            assert np.abs(rows[name].to_numpy() - rows[tight].to_numpy()).max() < 1e-6

    def test_gold_noun_segments_lie_inside_extracted_phrases(
        self, shared_data: Path, phrase_extractor: PhraseExtractor
    ) -> None:
        lines = (shared_data / "vidln" / "OVIS_train_sample.jsonl").read_bytes().splitlines()
        actors = [actor for line in lines for actor in json.loads(line)["actor_narratives"]]
        found = phrase_extractor.extract([actor["caption"] for actor in actors])
        inside = [
            any(phrase.char_start <= start and end <= phrase.char_end for phrase in phrases)
            for actor, phrases in zip(actors, found, strict=True)
            for start, end in actor["noun_segments"]
        ]
        assert len(lines) == 3
        assert len(inside) >= 30
        assert np.mean(inside) >= 0.96
