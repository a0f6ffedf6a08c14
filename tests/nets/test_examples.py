"""Batches of labelled samples, read ahead in order."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.pruning.networks import examples


def test_every_sample_once_in_order_as_often_as_one_likes() -> None:
    x, y = torch.arange(23.0)[:, None], torch.arange(23) % 4
    given = examples(x, y, size=5)
    for _ in range(2):
        seen = list(given)
        assert [len(labels) for _, labels in seen] == [5, 5, 5, 5, 3]
        assert torch.equal(torch.cat([inputs["image"] for inputs, _ in seen]), x)
        assert torch.equal(torch.cat([labels for _, labels in seen]), y)


def test_a_fault_of_reading_arrives_and_ends_the_reading() -> None:
    rows_read = []

    def read(rows: torch.Tensor) -> dict[str, torch.Tensor]:
        rows_read.append(int(rows[0]))
        if rows[0] >= 10:
            raise ValueError("on purpose")
        return {"image": rows[:, None].float()}

    given = replace(examples(torch.zeros(1000, 1), torch.zeros(1000, dtype=torch.int64), size=5), read=read)
    with pytest.raises(ValueError, match="on purpose"):
        list(given)
    assert len(rows_read) < 20


def test_the_loss_is_the_sum_of_cross_entropies() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(9, 5), torch.randint(0, 3, (9,))
    model, given = nn.Linear(5, 3), examples(x, y)
    wanted = -torch.log_softmax(model(x), 1)[torch.arange(9), y].sum()
    torch.testing.assert_close(given.loss(model, {"image": x}, y), wanted)
    single, binary = nn.Linear(5, 1), y % 2
    chance = torch.sigmoid(single(x)[:, 0])
    wanted = -torch.where(binary == 1, chance, 1 - chance).log().sum()
    torch.testing.assert_close(given.loss(single, {"image": x}, binary), wanted)
