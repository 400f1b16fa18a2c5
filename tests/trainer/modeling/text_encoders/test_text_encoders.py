from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from alp_builder.errors import BadDataError, UsageError
from trainer.modeling.text_encoders import (
    MiniLMEncoder,
    OpenClipEncoder,
    TableEncoder,
    TextEmbedder,
)
from trainer.modeling.text_encoders.cache import VectorCache, text_key
from trainer.modeling.text_encoders.openclip import TEMPLATES


class Counting:
    """Vectors of letter counts; remembers what it was asked."""

    dim = 26
    fingerprint = "counting"
    class_templates = ("a {}", "one {}")
    phrase_template = "see {}"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        rows = [[text.count(chr(97 + i)) for i in range(26)] for text in texts]
        return np.array(rows, np.float32).reshape(-1, 26)


# ---------------------------------------------------------------- embedder


def test_a_class_is_the_unit_mean_of_its_prompts_unit_vectors() -> None:
    encoder = Counting()
    (found,) = TextEmbedder(encoder).classes(["red_kite"])
    assert encoder.asked == ["a red kite", "one red kite"]
    rows = Counting().encode(["a red kite", "one red kite"])
    mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
    expected = torch.from_numpy(mean / np.linalg.norm(mean))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)
    assert found.norm().item() == pytest.approx(1, abs=1e-6)


def test_a_phrase_has_one_prompt() -> None:
    encoder = Counting()
    found = TextEmbedder(encoder).phrases(["two  dogs", "a {brace}"])
    assert encoder.asked == ["see two dogs", "see a {brace}"]
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))


def test_templates_can_be_chosen() -> None:
    encoder = Counting()
    embedder = TextEmbedder(encoder, class_templates=["{}!"], phrase_template="{}?")
    embedder.classes(["dog"])
    embedder.phrases(["dog"])
    assert encoder.asked == ["dog!", "dog?"]


def test_nothing_is_encoded_twice(tmp_path: Path) -> None:
    encoder = Counting()
    embedder = TextEmbedder(encoder, tmp_path)
    first = embedder.phrases(["dog", "cat", "dog"])
    assert encoder.asked == ["see dog", "see cat"]
    assert embedder.flush() == 2
    assert embedder.flush() == 0
    again = TextEmbedder(other := Counting(), tmp_path)
    assert torch.equal(again.phrases(["dog", "cat", "dog"]), first)
    assert other.asked == []


def test_no_texts_give_no_vectors() -> None:
    embedder = TextEmbedder(Counting())
    assert embedder.phrases([]).shape == embedder.classes([]).shape == (0, 26)


# ---------------------------------------------------------------- cache


def encode(texts: list[str]) -> NDArray[np.float32]:
    seeds = [int.from_bytes(text_key(text)[:4], "big") for text in texts]
    return np.stack([np.random.default_rng(s).normal(size=5) for s in seeds]).astype(np.float32)


def refuse(texts: list[str]) -> NDArray[np.float32]:
    raise AssertionError(f"asked for {texts}")


def test_a_fresh_vector_equals_the_one_read_back(tmp_path: Path) -> None:
    texts = [f"phrase {i}" for i in range(300)]
    cache = VectorCache(tmp_path, 5)
    fresh = cache.lookup(texts, encode)
    cache.flush()
    np.testing.assert_array_equal(VectorCache(tmp_path, 5).lookup(texts, refuse), fresh)
    np.testing.assert_array_equal(cache.lookup(texts[::-1], refuse), fresh[::-1])
    assert VectorCache(tmp_path, 5).lookup(["phrase 7"], refuse).dtype == np.float32


def test_segments_of_several_writers_are_all_read(tmp_path: Path) -> None:
    one, two = VectorCache(tmp_path, 5), VectorCache(tmp_path, 5)
    one.lookup(["a", "b"], encode)
    two.lookup(["b", "c"], encode)
    one.flush()
    two.flush()
    both = VectorCache(tmp_path, 5).lookup(["c", "b", "a"], refuse)
    np.testing.assert_array_equal(both, encode(["c", "b", "a"]).astype(np.float16))


def test_vectors_on_disk_are_mapped_halves(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, 5)
    cache.lookup(["a", "b"], encode)
    cache.flush()
    (file,) = tmp_path.glob("*.vectors.npy")
    assert np.load(file).dtype == np.float16
    ((_, vectors),) = VectorCache(tmp_path, 5)._segments
    assert isinstance(vectors, np.memmap)


def test_files_of_an_unfinished_flush_are_not_read(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, 5)
    cache.lookup(["a"], encode)
    cache.flush()
    next(tmp_path.glob("*.keys.npy")).unlink()  # the keys come last
    (tmp_path / "x.tmp").write_bytes(b"cut")
    assert VectorCache(tmp_path, 5).lookup(["a"], encode).shape == (1, 5)


def test_a_cache_of_another_width_is_not_read(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, 5)
    cache.lookup(["a"], encode)
    cache.flush()
    wide = VectorCache(tmp_path, 6).lookup(["a"], lambda t: np.ones((len(t), 6), np.float32))
    assert wide.tolist() == [[1] * 6]


# ---------------------------------------------------------------- table


def test_a_table_knows_its_names_in_any_spelling(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.eye(3, dtype=np.float16))
    (tmp_path / "names.txt").write_text("Coffee cup\ndog\nwine_glass\n")
    table = TableEncoder(tmp_path / "v.npy", tmp_path / "names.txt")
    assert table.encode(["wine glass", "coffee  Cup"]).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert table.dim == 3
    with pytest.raises(UsageError, match="'zebra' is not in the table of 3"):
        table.encode(["dog", "zebra"])


def test_a_table_under_other_names_is_another_one(tmp_path: Path) -> None:
    """Vectors are cached by it: the old name's vector must not come back."""
    np.save(tmp_path / "v.npy", np.eye(2))
    orders = [["dog", "cat"], ["cat", "dog"], ["dog", "cat"]]
    one, other, again = [TableEncoder(tmp_path / "v.npy", names).fingerprint for names in orders]
    assert one == again != other
    assert TableEncoder(tmp_path / "v.npy", orders[0], {"puppy": "dog"}).fingerprint != one


def test_a_table_must_fit_its_names(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.eye(3))
    with pytest.raises(BadDataError, match=r"shape \(3, 3\) for 2 names"):
        TableEncoder(tmp_path / "v.npy", ["a", "b"])
    np.save(tmp_path / "bad.npy", np.full((1, 2), np.nan))
    with pytest.raises(BadDataError, match="not finite"):
        TableEncoder(tmp_path / "bad.npy", ["a"])
    np.save(tmp_path / "object.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(BadDataError, match="cannot be read"):
        TableEncoder(tmp_path / "object.npy", ["a"])
    with pytest.raises(BadDataError, match="no list of names"):
        TableEncoder(tmp_path / "v.npy", tmp_path / "none.csv")


def test_real_clip_vectors_tell_like_from_unlike(shared_data: Path) -> None:
    folder = shared_data / "clip_text_embeddings"
    table = TableEncoder(folder / "oid_clip_a+cname.npy", folder / "oid500_row_order.csv")
    names = ["Cat", "Dog", "Teapot", "Kettle"]
    unit = TextEmbedder(table).classes(names)
    cosine = unit @ unit.T
    assert cosine[0, 1] > cosine[0, 2]
    assert cosine[2, 3] > cosine[1, 3]


# ---------------------------------------------------------------- encoders of free text


@pytest.fixture(scope="module")
def minilm() -> MiniLMEncoder:
    try:
        return MiniLMEncoder()
    except UsageError as error:
        pytest.skip(str(error))


def test_minilm_gives_the_published_sentence_vectors(minilm: MiniLMEncoder) -> None:
    """The first pair is the example of its model card, with the cosine given there."""
    unit = minilm.encode(["That is a happy person", "That is a very happy person", "a red car"])
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    cosine = unit @ unit.T
    assert cosine[0, 1] == pytest.approx(0.943, abs=2e-3)
    assert cosine[0, 2] < 0.2


def test_minilm_s_vector_does_not_depend_on_the_other_texts(minilm: MiniLMEncoder) -> None:
    texts = ["dog", "a very long phrase about two striped mugs", "cat", "hot dog"]
    together = minilm.encode(texts)
    alone = np.concatenate([minilm.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_an_embedding_is_the_same_bits_in_any_company(minilm: MiniLMEncoder) -> None:
    """Else a run with a warm cache would not repeat the one with a cold cache."""
    texts = [
        f"{colour} {thing}" for colour in ("red", "dotted") for thing in ("mug", "kite", "old hat")
    ]
    together = TextEmbedder(minilm).phrases(texts)
    alone = torch.cat([TextEmbedder(minilm).phrases([text]) for text in texts])
    assert torch.equal(together, alone)


def test_minilm_understands_phrases(minilm: MiniLMEncoder) -> None:
    embedder = TextEmbedder(minilm)
    classes = embedder.classes(["dog", "car", "mug", "tree"])
    phrases = embedder.phrases(["brown puppy", "parked vehicle", "striped cup", "tall oak"])
    assert (phrases @ classes.T).argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_minilm_without_its_files_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no such file"):
        MiniLMEncoder(tmp_path)
    module = importlib.import_module("trainer.modeling.text_encoders.minilm")
    monkeypatch.setattr(module, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(UsageError, match="pip install"):
        MiniLMEncoder()


def test_open_clip_s_mistakes_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    with pytest.raises(UsageError, match="no model 'ViT-Z'"):
        OpenClipEncoder("ViT-Z")
    with pytest.raises(UsageError, match="neither a checkpoint file nor published weights"):
        OpenClipEncoder("ViT-B-32", "nobody")

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host\nmany more lines")

    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(UsageError, match="offline, give a checkpoint file") as error:
        OpenClipEncoder("ViT-B-32", "openai")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "pretrained", "quick"),
    [
        ("ViT-B-32-quickgelu", "openai", True),
        ("ViT-B-32", "openai", True),  # open_clip itself would only warn
        ("ViT-L-14", "openai", True),
        ("ViT-B-32", "laion2b_s34b_b79k", False),
    ],
)
def test_published_weights_get_the_activation_they_were_trained_with(
    model: str, pretrained: str, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    asked: list[dict[str, object]] = []

    def offline(*_: object, **given: object) -> None:
        asked.append(given)
        raise ConnectionError("no route to host")

    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(UsageError, match="cannot be loaded"):
        OpenClipEncoder(model, pretrained)
    assert [given["force_quick_gelu"] for given in asked] == [quick]


def test_the_default_of_configs_is_openai_s_clip_with_its_activation() -> None:
    import open_clip

    from trainer.configs.common.text import text

    given = text["encoders"]["open_clip"]  # type: ignore[index]
    assert open_clip.get_model_config(given.model)["quick_gelu"]
    assert given.pretrained in open_clip.list_pretrained_tags_by_model(given.model)


def test_open_clip_from_a_local_file(tmp_path: Path) -> None:
    """A random model stands for the weights: the file, the prompts and the shapes are what counts."""
    import open_clip

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-S-32-alt")
    torch.save(model.state_dict(), tmp_path / "clip.pt")
    encoder = OpenClipEncoder("ViT-S-32-alt", str(tmp_path / "clip.pt"))
    found = TextEmbedder(encoder).classes(["dog", "cat"])
    assert found.shape == (2, encoder.dim)
    assert encoder.fingerprint.startswith("open-clip-ViT-S-32-alt-")
    assert encoder.fingerprint.endswith("-gelu")
    quick = OpenClipEncoder("ViT-S-32-alt", str(tmp_path / "clip.pt"), quick_gelu=True)
    assert quick.fingerprint == encoder.fingerprint.removesuffix("gelu") + "quickgelu"
    assert np.abs(quick.encode(["dog"]) - encoder.encode(["dog"])).max() > 1e-4
    (tmp_path / "archive.pt").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"expected a state dict or safetensors"):
        OpenClipEncoder("ViT-S-32-alt", str(tmp_path / "archive.pt"))
    assert "/" not in encoder.fingerprint
    with torch.no_grad():
        tokens = open_clip.get_tokenizer("ViT-S-32-alt")([t.format("dog") for t in TEMPLATES])
        unit = torch.nn.functional.normalize(model.eval().encode_text(tokens), dim=1).mean(0)
    cosine = torch.nn.functional.cosine_similarity(found[0], unit, dim=0)
    assert cosine.item() == pytest.approx(1, abs=1e-4)


def test_fourteen_templates_with_one_place_each() -> None:
    assert len(set(TEMPLATES)) == 14
    assert all(template.count("{}") == 1 for template in TEMPLATES)
