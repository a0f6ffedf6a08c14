"""What people of Hugging Face have, audited as it is: a transformers folder and a pruned one, on a saved data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prune_audit import audit
from prune_audit.core import Array, Audit, DataSource, Expects, ModelSource, Preprocess, Settings
from prune_audit.errors import AlignmentError
from tests import arrow_memory
from tests.data import saved
from tests.hugging_face import bert, save, vit

CLASSES = ("cat", "dog", "eel")
OWN = ("eel", "cat", "dog")  # the data set's order, which is not the model's
N = 60


def pictures() -> Array:
    """Noise (N, 20, 24, 3) of which a third each is reddish, greenish, bluish: something that a network can tell."""
    pixels = np.random.default_rng(0).integers(0, 120, (N, 20, 24, 3), np.uint8)
    for at in range(N):
        pixels[at, :, :, at % 3] += 110
    return pixels


def inputs(pixels: Array) -> torch.Tensor:
    """(N, 3, 16, 16) as the preprocessing makes them: resize, /255, mean .5, std .5; written anew."""
    from PIL import Image

    small = [np.asarray(Image.fromarray(each).resize((16, 16), Image.Resampling.BILINEAR)) for each in pixels]
    return torch.from_numpy((np.stack(small).transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5) / 0.5)


def fitted(network: Any, features: torch.Tensor, y: torch.Tensor) -> None:
    """Fit the head by least squares on the ``features`` (N, D) that it sees."""
    ones = torch.ones(len(features), 1)
    targets = torch.nn.functional.one_hot(y, network.config.num_labels).float()
    solution = torch.linalg.lstsq(torch.cat([features, ones], 1), targets, driver="gelsd").solution
    with torch.no_grad():
        network.classifier.weight.copy_(solution[:-1].T)
        network.classifier.bias.copy_(solution[-1])


def pruned(network: Any, share: float) -> None:
    """Set the smallest ``share`` of the weights of every linear layer but the head to zero."""
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, torch.nn.Linear) and name != "classifier":
                cut = module.weight.abs().flatten().quantile(share)
                module.weight[module.weight.abs() <= cut] = 0


def run(path: Path, data: Path, **asked: Any) -> Audit:
    sources = [ModelSource(name=name, path=path / name) for name in ("dense", "pruned")]
    return audit.run(sources[0], sources[1:], DataSource(path=data, **asked), Settings(by=("site",)))


def test_images(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pixels = pictures()
    y = np.arange(N) % 3  # positions in CLASSES
    network = vit(CLASSES)
    x, labels = inputs(pixels), torch.from_numpy(y)
    with torch.no_grad():
        fitted(network, network.vit(x).last_hidden_state[:, 0], labels)
        dense = network(x).logits.argmax(1).numpy()
        save(network, tmp_path / "dense", size=16)
        pruned(network, 0.9)
        sparse = network(x).logits.argmax(1).numpy()
        save(network, tmp_path / "pruned", size=16)
    assert (dense == y).mean() > 0.9 > (sparse == y).mean()
    table = saved.table(
        {
            "image": [saved.png(each) for each in pixels],
            "label": [OWN.index(CLASSES[at]) for at in y],
            "site": ["north", "south"] * (N // 2),
        },
        {"image": saved.IMAGE, "label": saved.labels(*OWN)},
    )
    folder = saved.save(tmp_path / "data", table)
    saved.shards(tmp_path / "hub", table, "test")
    capfd.readouterr()
    made = run(tmp_path, folder)
    assert capfd.readouterr() == ("", "")

    view, by_site = made.comparisons[0].views
    assert view.pair.strata == CLASSES
    for stratum, counts in (("eel", view.pair), ("south", by_site.pair)):
        here = (y == 2) if stratum == "eel" else np.arange(N) % 2 == 1
        at = counts.strata.index(stratum)
        right, still = dense == y, sparse == y
        expected = [right & still, right & ~still, ~right & still, ~right & ~still]
        found = [counts.both[at], counts.lost[at], counts.gained[at], counts.neither[at]]
        assert found == [int((cells & here).sum()) for cells in expected]
    assert made.provenance.preprocess == Preprocess(
        size=(16, 16),
        resize=(16, 16),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        channels="rgb",
        interpolation="bilinear",
        name="preprocessor_config.json",
    )
    dense_card, pruned_card = made.comparisons[0].dense, made.comparisons[0].pruned
    assert dense_card.density == 1
    assert pruned_card.density is not None
    assert pruned_card.density < 0.5

    # Shards of Parquet hold the same samples, and what is asked for by hand wins over the model's file.
    again = run(tmp_path, tmp_path / "hub")
    np.testing.assert_array_equal(again.comparisons[0].views[0].pair.lost, view.pair.lost)
    assert again.provenance.data_digest == made.provenance.data_digest
    other = run(tmp_path, folder, preprocess=Preprocess(mean=(0.4,)))
    assert other.provenance.preprocess is not None
    assert other.provenance.preprocess.mean == (0.4, 0.4, 0.4)
    assert other.provenance.preprocess.std == (0.5, 0.5, 0.5)
    assert other.provenance.preprocess.name == "preprocessor_config.json with changes"


def test_preprocessing_is_one_thing_for_all_models(tmp_path: Path) -> None:
    first = save(vit(CLASSES), tmp_path / "a", size=16) / "preprocessor_config.json"
    second = save(vit(CLASSES), tmp_path / "b", size=16) / "preprocessor_config.json"
    steps = json.loads(second.read_text())
    declared = [("a", Expects(preprocess=first)), ("b", Expects(preprocess=second)), ("c", Expects())]
    assert audit.merge(declared).preprocess == first
    second.write_text(json.dumps({**steps, "image_processor_type": "ViTImageProcessorFast", "do_pad": None}))
    assert audit.merge(declared).preprocess == first
    second.write_text(json.dumps({**steps, "image_std": [0.2, 0.2, 0.2]}))
    with pytest.raises(AlignmentError, match=r"preprocess of a .*a/preprocessor_config\.json, of b .*b/preprocessor"):
        audit.merge(declared)
    (tmp_path / "x.json").write_text("{}")
    (tmp_path / "y.json").write_text("{ }")
    tokens = [(name, Expects(tokenizer=tmp_path / f"{name}.json")) for name in "xy"]
    with pytest.raises(AlignmentError, match="tokenizer of x"):
        audit.merge(tokens)


WORDS = ("[PAD]", "[UNK]", "fine", "good", "bad", "poor", "film", "plot")


def test_texts(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    rng = np.random.default_rng(0)
    y = np.arange(N) % 2
    texts = [
        " ".join([*rng.choice(WORDS[6:], rng.integers(1, 4)), rng.choice(WORDS[2:4] if at else WORDS[4:6])]) for at in y
    ]
    encoded = tokenizer.encode_batch(texts)
    tokens = {
        "input_ids": torch.tensor([each.ids for each in encoded]),
        "attention_mask": torch.tensor([each.attention_mask for each in encoded]),
    }
    network = bert(("neg", "pos"), words=len(WORDS))
    with torch.no_grad():
        fitted(network, network.bert(**tokens).pooler_output, torch.from_numpy(y))
        right = {"dense": network(**tokens).logits.argmax(1).numpy() == y}
        save(network, tmp_path / "dense")
        pruned(network, 0.95)
        right["pruned"] = network(**tokens).logits.argmax(1).numpy() == y
        save(network, tmp_path / "pruned")
    assert right["dense"].mean() > 0.9 > right["pruned"].mean()
    for name in right:
        tokenizer.save(str(tmp_path / name / "tokenizer.json"))
    rows = [f"{text},{('neg', 'pos')[at]},{'ab'[at]}\n" for text, at in zip(texts, y, strict=True)]
    (tmp_path / "texts.csv").write_text("text,label,site\n" + "".join(rows))
    table = saved.table(
        {"text": texts, "label": (1 - y).tolist(), "site": [*"ab"] * (N // 2)}, {"label": saved.labels("pos", "neg")}
    )
    for data in (tmp_path / "texts.csv", saved.save(tmp_path / "data", table)):
        pair = run(tmp_path, data).comparisons[0].views[0].pair
        assert pair.strata == ("neg", "pos")
        for at in range(2):
            here = y == at
            assert pair.lost[at] == (right["dense"] & ~right["pruned"] & here).sum()
            assert pair.both[at] == (right["dense"] & right["pruned"] & here).sum()


def test_a_big_saved_data_set_is_mapped(tmp_path: Path) -> None:
    """Opening it takes no memory for its images."""
    noise = np.random.default_rng(0)
    cells = [{"bytes": noise.bytes(10**6), "path": None} for _ in range(20)]
    table = saved.table({"image": cells, "label": [0] * 20}, {"image": saved.IMAGE, "label": saved.labels("cat")})
    folder = saved.save(tmp_path / "data", table)
    del table, cells
    from prune_audit import data

    before = arrow_memory.still()
    found = data.load(
        DataSource(path=folder, preprocess=Preprocess(size=(8, 8), channels="rgb")), Expects(), Settings()
    )
    assert len(found.read([7]).bad) == 1  # noise is no image
    assert arrow_memory.held(before + 10**6 - 1) - before < 10**6
