"""Cards as others read them: the Hub's card format, mlcroissant, Markdown of hostile words."""

from __future__ import annotations

import json
import logging
import shutil
import struct
import zlib
from pathlib import Path

import msgspec
import pytest

from alp_builder.cards.figures import CardFigures
from alp_builder.cards.origins import LICENSE_URLS, license_of, origins_of
from alp_builder.cards.plots import SIGNED, signed_with
from alp_builder.cards.text import card_text
from alp_builder.cards.words import code, escape
from alp_builder.reader import read_alps
from alp_builder.schema import COLUMNS

PLAYBOOK = [
    "Dataset Overview",
    "Example of Data Points",
    "Motivations & Intentions",
    "Access, Retention, & Wipeout",
    "Provenance",
    "Human and Other Sensitive Attributes",
    "Extended Use",
    "Transformations",
    "Annotations & Labeling",
    "Validation Types",
    "Sampling Methods",
    "Known Biases and Limits",
    "Terms of Art",
    "Reflections on Data",
]


def test_mlcroissant_validates_and_loads_every_shard(
    built: Path, card: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(card / "croissant.json")
    assert not caplog.records, caplog.text
    rows = 0
    for record_set in dataset.metadata.record_sets:
        records = list(dataset.records(record_set.id))
        rows += len(records)
        expected = read_alps(built, filters=[("alp_id", "==", _text(records[0], "alp_id"))])
        first = expected.to_pylist()[0]
        assert _text(records[0], "caption") == first["caption"]
        assert records[0][f"{record_set.id}/x0"] == pytest.approx(first["x0"])
        assert list(records[0][f"{record_set.id}/trace_t"]) == pytest.approx(first["trace_t"])
    assert rows == read_alps(built).num_rows


def _text(record: dict[str, bytes], column: str) -> str:
    (value,) = (value for name, value in record.items() if name.endswith(f"/{column}"))
    return value.decode()


def test_mlcroissant_refuses_a_changed_shard(
    copy_of_built: Path, card: Path, tmp_path: Path
) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    tree = json.loads((card / "croissant.json").read_text("utf-8"))
    for entry in tree["distribution"]:
        path = copy_of_built / entry["@id"]
        entry["contentUrl"] = str(path)
        path.write_bytes(path.read_bytes() + b"x")
    (tmp_path / "croissant.json").write_text(json.dumps(tree))
    dataset = mlcroissant.Dataset(tmp_path / "croissant.json")
    with pytest.raises(Exception, match="Download") as caught:
        next(iter(dataset.records(tree["recordSet"][0]["@id"])))
    assert "Hash of downloaded file" in str(caught.value.__cause__)


def test_the_hub_reads_the_front_matter(built: Path, card: Path, tmp_path: Path) -> None:
    datasets, hub = (pytest.importorskip(name) for name in ("datasets", "huggingface_hub"))
    found = hub.DatasetCard.load(card / "README.md").data
    assert found.license == "apache-2.0"
    assert found.tags[-1] == "simulated"
    published = tmp_path / "published"
    published.mkdir()
    for folder in built.glob("split=*"):
        shutil.copytree(folder, published / folder.name)
    shutil.copy(card / "README.md", published)
    loaded = datasets.load_dataset(str(published), cache_dir=str(tmp_path / "cache"))
    frame = read_alps(built).to_pandas()
    assert {name: len(part) for name, part in loaded.items()} == dict(frame.split.value_counts())
    declared = datasets.Features._from_yaml_list(found.dataset_info["features"])
    assert declared == loaded["train"].features


def test_headings_are_those_of_the_playbook(card: Path) -> None:
    lines = (card / "README.md").read_text("utf-8").splitlines()
    assert [line[3:] for line in lines if line.startswith("## ")] == PLAYBOOK
    assert "simulated" in lines[lines.index("---", 1) + 2].lower()


def test_hostile_words_stay_words(card: Path) -> None:
    markdown = pytest.importorskip("markdown_it")
    figures = msgspec.json.decode((card / "figures.json").read_bytes(), type=CardFigures)
    evil = "x</td><script>alert(1)</script> | [a](javascript:b) `c`\n# d"
    bad = msgspec.structs.replace(
        figures,
        top_nouns=[(evil, 3)],
        example={"caption": evil},
        datasets={evil: 3},
        config={"evil": evil},
    )
    text = card_text(bad, COLUMNS)
    assert text.count("alert") == 4
    page = markdown.MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert "<script>" not in page
    assert 'href="javascript' not in page
    assert "<h1>d" not in page
    assert all(line.startswith("| ") for line in text.splitlines() if "alert" in line)


def test_escaping() -> None:
    assert escape("a|b <i> & *c*\n`d`") == "a\\|b &lt;i&gt; &amp; \\*c\\* \\`d\\`"
    assert code("a|b`c\n") == "`a\\|b c `"


@pytest.mark.parametrize(
    ("dataset_ids", "families", "license_id"),
    [
        (["mscoco_train2017", "coco"], ["coco"], "cc-by-4.0"),
        (["ADE20k", "open_images_train"], ["open_images", "ade20k"], "cc-by-4.0"),
        (["simulated_world_val"], ["simulated"], "apache-2.0"),
        (["simulated_world_val", "coco"], ["simulated", "coco"], "unknown"),
        (["mine"], ["unknown"], "unknown"),
        (["vidln_OVIS_train", "flick30k_val"], ["flickr30k", "vidln"], "cc-by-4.0"),
    ],
)
def test_licences_follow_from_origins(
    dataset_ids: list[str], families: list[str], license_id: str
) -> None:
    origins = origins_of(dataset_ids)
    assert [origin.family for origin in origins] == families
    assert license_of(origins) == license_id
    assert license_id in LICENSE_URLS or license_id == "unknown"


def test_the_signature_of_a_picture() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13))
    assert signed_with(start + chunk(b"tEXt", SIGNED.encode() + b"\0abc")) == "abc"
    assert signed_with(start) == signed_with(b"") == signed_with(b"GIF89a") == ""
