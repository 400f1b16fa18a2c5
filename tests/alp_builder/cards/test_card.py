from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from alp_builder.cards import CardFigures, CardSettings, check_card, gather_figures, write_card
from alp_builder.cards.plots import PICTURES
from alp_builder.cli.main import main
from alp_builder.errors import BadDataError, UsageError
from alp_builder.reader import open_alps, read_alps
from alp_builder.schema import arrow_schema
from tests.alp_builder.cards.conftest import CLASSES
from tests.alp_builder.conftest import Builder


def figures_of(card: Path) -> CardFigures:
    return msgspec.json.decode((card / "figures.json").read_bytes(), type=CardFigures)


def test_the_figures_are_those_of_the_rows(built: Path, card: Path) -> None:
    figures, frame = figures_of(card), read_alps(built).to_pandas()
    mains = frame[frame.component_index == 0]
    assert figures.alps == len(frame) == sum(figures.splits.values())
    assert figures.phrases == len(mains)
    assert figures.narratives == frame.narrative_id.nunique()
    assert figures.distinct_nouns == frame.head_lemma.nunique()
    assert figures.simulated
    assert figures.plural_share == pytest.approx(mains.is_plural.mean(), rel=1e-3)
    shown = figures.distributions
    counts = mains.groupby("narrative_id").size()
    assert shown.phrases_per_narrative[:24] == [int((counts == n).sum()) for n in range(1, 25)]
    assert sum(shown.components) == len(mains)
    assert sum(n * (i + 1) for i, n in enumerate(shown.components)) == len(frame)
    assert sum(shown.width) == sum(shown.score) == len(frame)
    assert figures.example["score"] == pytest.approx(frame.score.median(), abs=0.2)


def test_the_map_counts_the_boxes_over_each_cell(built: Path, card: Path) -> None:
    frame = read_alps(built).to_pandas()
    expected = np.zeros((32, 32), int)
    for x0, y0, x1, y1 in frame[["x0", "y0", "x1", "y1"]].to_numpy():
        columns = slice(int(x0 * 32), int(np.ceil(x1 * 32)))
        expected[int(y0 * 32) : int(np.ceil(y1 * 32)), columns] += 1
    assert figures_of(card).distributions.position == expected.tolist()


def test_classes_are_counted_once_a_phrase_and_once_an_image(built: Path, card: Path) -> None:
    rows = {name: (phrases, images) for name, phrases, images in figures_of(card).classes}
    assert set(rows) == set(CLASSES)
    frame = read_alps(built).to_pandas()
    balls = frame[(frame.component_index == 0) & (frame.head_lemma == "ball")]
    assert rows["Ball"] == (len(balls), len(balls.groupby(["dataset_id", "image_id"])))


def test_a_card_agrees_until_its_shards_change(
    built: Path,
    card: Path,
    tmp_path: Path,
    build_here: Builder,
    inputs_of_two_splits: dict[str, Path],
) -> None:
    assert check_card(open_alps(built), card).differences == []
    build_here({"train": inputs_of_two_splits["train"]}, tmp_path / "other", "boxes.margin=0.02")
    found = check_card(open_alps(tmp_path / "other"), card).differences
    assert any(line.startswith("alps: the card says") for line in found)
    assert {"config", "shards"} <= set(found)
    assert any("README.md" in line for line in found)
    assert any("distributions.png is missing or drawn from" in line for line in found)


@pytest.mark.parametrize("name", ["README.md", "croissant.json", *PICTURES])
def test_an_edit_by_hand_is_found(built: Path, card: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(card, tmp_path / "card"))
    if name.endswith(".png"):
        (copy / name).write_bytes(b"no picture")
    else:
        text = (copy / name).read_text("utf-8").replace("rough boxes", "exact boxes")
        (copy / name).write_text(text, "utf-8")
    (found,) = check_card(open_alps(built), copy).differences
    assert name in found


def test_the_command_writes_and_checks(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    names = tmp_path / "names.json"
    names.write_text('{"open_images": {"Apple": "/m/1", "Dog": "/m/2"}}')
    out = tmp_path / "card"
    words = ["card", str(built), "--out", str(out)]
    assert main([*words, "--classes", str(names)]) == 0
    assert "of 2 classes named" in capsys.readouterr().out
    assert main([*words, "--check"]) == 0
    (out / "README.md").write_text("mine")
    assert main([*words, "--check"]) == 1
    assert "README.md is missing or not what the shards give" in capsys.readouterr().err


def test_changed_shards_get_no_card(copy_of_built: Path, tmp_path: Path) -> None:
    dataset = open_alps(copy_of_built)
    with dataset.paths()[0].open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(BadDataError, match="bytes, the manifest says"):
        write_card(dataset, tmp_path / "card", CardSettings(name="x", location="."))
    assert not (tmp_path / "card").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--check"], "no figures of a card"),
        (["--name", "a b"], "expected letters"),
        (["--published", "today"], "expected a date"),
        (["--classes", "none.json"], "cannot be read as JSON"),
    ],
)
def test_errors_are_one_line(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["card", str(built), "--out", str(tmp_path / "none"), *words]) in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("text", ["[]", "3", '{"open_images": [1]}', '[""]'])
def test_a_vocabulary_without_names_is_refused(tmp_path: Path, text: str) -> None:
    from alp_builder.cards.classes import read_class_names

    (tmp_path / "names.json").write_text(text)
    with pytest.raises(UsageError, match="expected a list of names"):
        read_class_names(tmp_path / "names.json")


def test_an_empty_data_set_has_a_card_too(tmp_path: Path, build_here: Builder) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "x.jsonl").write_bytes(b"")
    build_here(tmp_path / "x.jsonl", tmp_path / "out")
    dataset = open_alps(tmp_path / "out")
    write_card(dataset, tmp_path / "card", CardSettings(name="empty", location="."))
    assert check_card(dataset, tmp_path / "card").differences == []


def test_no_figure_depends_on_where_the_data_lies(built: Path, copy_of_built: Path) -> None:
    settings = CardSettings(name="x", location=".")
    assert gather_figures(open_alps(built), settings) == gather_figures(
        open_alps(copy_of_built), settings
    )
    assert (
        str(built.parent)
        not in msgspec.json.encode(gather_figures(open_alps(built), settings)).decode()
    )


def test_every_column_stands_in_the_card(card: Path) -> None:
    text = (card / "README.md").read_text("utf-8")
    for name in arrow_schema(("core", "traces")).names:
        assert f"| `{name}` |" in text
