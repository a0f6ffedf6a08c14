"""The accuracy that a file says it has: found under the keys in use, and never made up."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from prune_audit.models._accuracy import of_card, of_name, recorded


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"best_prec1": 92.78}, ("best_prec1", 0.9278)),
        ({"best_acc": torch.tensor(91.5)}, ("best_acc", 0.915)),
        ({"acc": 0.5, "epoch": 3}, ("acc", 0.5)),
        ({"val_acc1": "77.1"}, ("val_acc1", 0.771)),
        ({"best_acc": 93.0, "acc": 90.0}, ("acc", 0.9)),  # the least of them
        ({"metrics": {"top1": 71.25}}, ("metrics.top1", 0.7125)),
        ({"train_acc": 99.0}, None),
        ({"accumulate": 4, "accum": 2, "best_acc": True}, None),
        ({"best_acc": float("nan"), "acc": 120, "top1": 0.0}, None),
        ({"best_acc": torch.ones(3)}, None),
        ({}, None),
    ],
)
def test_of_a_checkpoint(metadata: dict[str, object], found: tuple[str, float] | None, tmp_path: Path) -> None:
    said = recorded(metadata, tmp_path / "m.pth")
    assert (said is None) == (found is None)
    if said is not None and found is not None:
        assert said[0] == found[0]
        assert said[1] == pytest.approx(found[1], rel=1e-6)  # tensors are of single precision


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("resnet-epoch=12-val_acc=0.91.ckpt", 0.91),
        ("vgg16_acc_93.25.pth", 0.9325),
        ("net_top1-71.pt", 0.71),
        ("model_best_accuracy0.875.pt", 0.875),
        ("best.pt", None),
        ("vacc12.pt", None),
        ("train_loss=0.2.pt", None),
        ("mobilenet_v2.onnx", None),
    ],
)
def test_of_a_name(name: str, share: float | None) -> None:
    found = of_name(Path(name))
    assert (None if found is None else found[1]) == (None if share is None else pytest.approx(share))


def test_of_a_model_card(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(
        "---\nmodel-index:\n- name: vit\n  results:\n  - metrics:\n    - type: accuracy\n      name: Accuracy\n"
        "      value: 0.9812\n    - type: f1\n      value: 0.5\n---\n# accuracy 0.1\n",
        encoding="utf-8",
    )
    found = of_card(tmp_path)
    assert found is not None
    assert found[0] == "its model card, README.md"
    assert found[1] == pytest.approx(0.9812)
    (tmp_path / "README.md").write_text("type: accuracy\n  value: 0.3\n", encoding="utf-8")
    assert of_card(tmp_path) is None  # no card
    assert of_card(tmp_path / "nowhere") is None
