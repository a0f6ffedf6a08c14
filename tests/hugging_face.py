"""Tiny networks of transformers with seeded weights, and their folders."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch


def vit(classes: tuple[str, ...] = (), outputs: int = 3) -> Any:
    """A vision transformer of images of 16 x 16 pixels."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=16,
        patch_size=8,
        **_labels(classes or outputs),
    )
    torch.manual_seed(0)
    network: Any = ViTForImageClassification(config)
    return network.eval()


def resnet(classes: tuple[str, ...] = (), outputs: int = 3) -> Any:
    """A residual network of images of any size."""
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **_labels(classes or outputs)
    )
    torch.manual_seed(0)
    network: Any = ResNetForImageClassification(config)
    return network.eval()


def bert(classes: tuple[str, ...] = (), outputs: int = 2, words: int = 50) -> Any:
    """A transformer of texts of ``words`` different tokens."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=words,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        **_labels(classes or outputs),
    )
    torch.manual_seed(0)
    network: Any = BertForSequenceClassification(config)
    return network.eval()


def save(network: Any, path: Path, size: int | None = None) -> Path:
    """``network`` with `save_pretrained`, and with the preprocessing of images of ``size`` x ``size``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.save_pretrained(path)
    if size is not None:
        # As ViTImageProcessor(size=...).save_pretrained of transformers 5.23 writes it.
        steps = {
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "ViTImageProcessor",
            "image_std": [0.5, 0.5, 0.5],
            "resample": 2,
            "rescale_factor": 0.00392156862745098,
            "size": {"height": size, "width": size},
        }
        (path / "preprocessor_config.json").write_text(json.dumps(steps))
    return path


def _labels(classes: tuple[str, ...] | int) -> dict[str, Any]:
    if isinstance(classes, int):
        return {"num_labels": classes}
    return {"id2label": dict(enumerate(classes)), "label2id": {name: at for at, name in enumerate(classes)}}
