"""The training loop: steps by hand, masks that hold, and runs that stop and go on."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from prune_audit.choices import Optimizer
from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import masking, train_loop
from prune_audit.nets.examples import Examples, cross_entropy
from prune_audit.nets.resume import Resume
from prune_audit.nets.train_loop import Training, check_like, mean_loss, train
from prune_audit.pruning import Cut, surgery
from tests.pruning.networks import examples, network

Masks = dict[str, torch.Tensor]
NAMES = ("0.weight", "5.weight", "8.weight")


def still(_step: int, masks: Masks) -> Masks:
    return masks


def random_masks(model: nn.Module) -> Masks:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(model.get_parameter(name).shape, generator=generator) < 0.4 for name in NAMES}


def linear() -> tuple[nn.Linear, Examples]:
    torch.manual_seed(0)
    x, y = torch.randn(8, 5), torch.randint(0, 3, (8,))
    return nn.Linear(5, 3), examples(x, y, size=8)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_steps_are_those_of_the_optimiser_with_masks_and_rates_by_hand(optimizer: str) -> None:
    model, given = linear()
    plain = nn.Linear(5, 3)
    plain.load_state_dict(model.state_dict())
    masks = {"weight": torch.rand(3, 5) < 0.5}
    training = Training(epochs=4, lr=0.3, weight_decay=0.01, optimizer=optimizer)  # type: ignore[arg-type]
    train(model, masks, given, training, update=still)

    own: torch.optim.Optimizer
    if optimizer == "sgd":
        own = torch.optim.SGD(plain.parameters(), lr=0.3, momentum=0.9, weight_decay=0.01)
    else:
        own = torch.optim.AdamW(plain.parameters(), lr=0.3, weight_decay=0.01)
    x, y = given.read(torch.arange(8))["image"], given.labels
    for step in range(4):
        own.param_groups[0]["lr"] = 0.3 * (1 + math.cos(math.pi * step / 4)) / 2
        own.zero_grad()
        nn.functional.cross_entropy(plain(x), y).backward()
        own.step()
        with torch.no_grad():
            plain.weight.mul_(masks["weight"])
    torch.testing.assert_close(model.weight, plain.weight)
    torch.testing.assert_close(model.bias, plain.bias)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("cosine", [1.0, 0.853553, 0.5, 0.146447]), ("step", [1, 1, 0.1, 0.01]), ("constant", [1, 1, 1, 1])],
)
def test_rates(schedule: str, rates: list[float]) -> None:
    training = Training(lr_schedule=schedule)  # type: ignore[arg-type]  # parametrised
    assert [train_loop._rate(training, step / 4) for step in range(4)] == pytest.approx(rates, abs=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_cut_weights_are_zero_after_every_step(optimizer: str) -> None:
    model = network()
    masks = random_masks(model)
    masking.apply(model, masks)
    seen = []

    def update(step: int, masks: Masks) -> Masks:
        seen.append(step)
        assert all((model.get_parameter(name)[~mask] == 0).all() for name, mask in masks.items())
        return masks

    training = Training(epochs=3, lr=0.05, optimizer=optimizer)  # type: ignore[arg-type]  # parametrised
    found, history = train(model, masks, examples(), training, update=update)
    assert seen == list(range(9))
    assert found is masks
    assert len(history) == 3
    assert all(epoch.held_out is None for epoch in history)
    assert all((model.get_parameter(name)[~mask] == 0).all() for name, mask in masks.items())
    assert all((model.get_parameter(name)[mask] != 0).all() for name, mask in masks.items())
    assert not model.training


def test_it_learns() -> None:
    torch.manual_seed(0)
    x = torch.randn(200, 1, 6, 6)
    y = (x.flatten(1)[:, :4]).argmax(1)
    model, given = network(), examples(x, y)
    before = train_loop.mean_loss(model, given)
    train(model, masking.whole(model, NAMES), given, Training(epochs=20, lr=0.05), update=still)
    assert train_loop.mean_loss(model, given) < before / 2


def test_the_epoch_with_the_lowest_loss_on_held_out_samples_is_kept() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(60, 5), torch.randint(0, 3, (60,))  # nothing to learn, so the held out loss rises
    model = nn.Linear(5, 3)
    given, held_out = examples(x, y, rows=torch.arange(40)), examples(x, y, rows=torch.arange(40, 60))
    _, history = train(
        model,
        {"weight": torch.ones(3, 5, dtype=torch.bool)},
        given,
        Training(epochs=30, lr=0.5),
        update=still,
        held_out=held_out,
    )
    losses = [epoch.held_out for epoch in history]
    assert all(loss is not None for loss in losses)
    lowest = min(loss for loss in losses if loss is not None)
    assert losses[-1] != lowest
    assert train_loop.mean_loss(model, held_out) == pytest.approx(lowest, rel=1e-6)


def test_epochs_before_masks_are_settled_are_not_chosen() -> None:
    """Cut to almost nothing before the last epoch: earlier ones are better, and of another density."""
    torch.manual_seed(0)
    x = torch.randn(80, 5)
    y = x[:, :3].argmax(1)
    model, given = nn.Linear(5, 3), examples(x, y, size=16)
    few = torch.zeros(3, 5, dtype=torch.bool)
    few[0, 0] = True

    def update(step: int, masks: Masks) -> Masks:
        return {"weight": few} if step == 20 else masks

    found, history = train(
        model,
        {"weight": torch.ones(3, 5, dtype=torch.bool)},
        given,
        Training(epochs=5, lr=0.5),
        update=update,
        settled=20,
        held_out=given,
    )
    assert torch.equal(found["weight"], few)
    assert int(model.weight.count_nonzero()) == 1
    losses = [epoch.held_out for epoch in history]
    assert min(loss for loss in losses if loss is not None) != losses[-1]


def test_balanced_draws_every_class_equally_often() -> None:
    y = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)
    given = examples(torch.zeros(1000, 1), y, size=100)
    drawn = torch.cat(
        [torch.cat(train_loop._order(given, Training(balanced=True, seed=1), epoch)) for epoch in range(5)]
    )
    counts = y[drawn].bincount()
    assert counts.sum() == 5000
    assert (counts - 5000 / 3).abs().max() < 5 * math.sqrt(5000 * 2 / 9)
    assert len(drawn[y[drawn] == 2].unique()) == 10


def test_every_sample_once_an_epoch_in_another_order_each_time() -> None:
    given = examples(size=16)
    first, second = (torch.cat(train_loop._order(given, Training(seed=1), epoch)) for epoch in (0, 1))
    assert torch.equal(first.sort().values, torch.arange(40))
    assert not torch.equal(first, second)


def test_a_last_batch_of_one_is_left_out() -> None:
    """In training mode normalisation would refuse it."""
    given = examples(torch.randn(33, 1, 6, 6), torch.zeros(33, dtype=torch.int64), size=16)
    model = network()
    train(model, masking.whole(model, NAMES), given, Training(epochs=1), update=still)
    assert train_loop.steps(given, Training(epochs=3)) == 6


def test_straight_through_lets_a_cut_weight_grow_back_and_the_usual_way_does_not() -> None:
    """min (w m - 1)^2 with m = 0: the gradient at the masked weight, 0, is -2, so w rises past its threshold."""
    model = nn.Linear(1, 1, bias=False)
    given = Examples(
        labels=torch.zeros(4, dtype=torch.int64),
        rows=torch.arange(4),
        read=lambda rows: {"image": torch.ones(len(rows), 1)},
        forward=lambda m, inputs: m(inputs["image"]),
        size=4,
    )

    class Square(Examples):
        def loss(self, model: nn.Module, inputs: object, labels: torch.Tensor) -> torch.Tensor:
            assert isinstance(model, nn.Linear)
            missed: torch.Tensor = model(torch.ones(len(labels), 1)) - 1
            return missed.square().sum()

    square = Square(**{name: getattr(given, name) for name in ("labels", "rows", "read", "forward", "size")})
    fixed = Cut(fixed={"weight": 0.5})
    for through, kept in ((True, True), (False, False)):
        with torch.no_grad():
            model.weight.fill_(0.1)
        masks, _ = train(
            model,
            {"weight": torch.zeros(1, 1, dtype=torch.bool)},
            square,
            Training(epochs=30, lr=0.05, weight_decay=0, lr_schedule="constant"),
            update=lambda _, masks: surgery.update(model, masks, 0.5, None, fixed),
            straight_through=through,
        )
        assert bool(masks["weight"]) is kept
        assert float(model.weight.detach()) == (pytest.approx(1, abs=0.2) if kept else 0)


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", [1, 4, 5, 9, 14])
@pytest.mark.parametrize("through", [True, False])
def test_a_run_that_stopped_goes_on_and_ends_the_same(
    at: int, through: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout, momentum, new masks on the way and a best epoch among them; a state after every step."""
    monkeypatch.setattr("prune_audit.nets.resume.SECONDS", 0.0)
    training = Training(epochs=5, lr=0.05, seed=3)

    def whole(resume: Resume | None, stop: int | None = None) -> tuple[dict[str, torch.Tensor], object, list[int]]:
        model, seen = network(), []

        def update(step: int, masks: Masks) -> Masks:
            seen.append(step)
            if step == stop:
                raise Stop
            return random_masks(model) if step == 7 else masks

        masks, history = train(
            model,
            masking.whole(model, NAMES),
            examples(),
            training,
            update=update,
            settled=7,
            held_out=examples(),
            straight_through=through,
            resume=resume,
        )
        return {**model.state_dict(), **{f"mask of {n}": m for n, m in masks.items()}}, history, seen

    wanted, history, _ = whole(None)
    path = tmp_path / "state"
    with pytest.raises(Stop):
        whole(Resume(path, "key"), at)
    found, again, seen = whole(Resume(path, "key"))
    assert seen[0] == at
    assert again == history
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_the_state_of_another_run_is_refused(tmp_path: Path) -> None:
    Resume(tmp_path / "state", "mine").write({"step": 1})
    assert Resume(tmp_path / "state", "mine").read() == {"step": 1}
    with pytest.raises(UsageError, match="another run"):
        Resume(tmp_path / "state", "other").read()
    for content in (b"", b"hello", (tmp_path / "state").read_bytes()[:200]):
        (tmp_path / "state").write_bytes(content)
        with pytest.raises(UsageError, match="no state of a training"):
            Resume(tmp_path / "state", "mine").read()
    Resume(tmp_path / "state", "mine").remove()
    assert Resume(tmp_path / "state", "mine").read() is None


def test_random_numbers_of_others_are_left_alone_and_progress_is_told() -> None:
    model = network()
    numbers, told = torch.get_rng_state(), []
    training = Training(epochs=2)
    train(
        model,
        masking.whole(model, NAMES),
        examples(),
        training,
        update=still,
        progress=lambda done, total: told.append((done, total)),
    )
    assert torch.equal(torch.get_rng_state(), numbers)
    assert told == [(i, 6) for i in range(1, 7)]


def test_a_loss_that_is_no_number_is_told() -> None:
    model, given = linear()
    with pytest.raises(ModelError, match="the loss is") as caught:
        train(model, {}, given, Training(epochs=200, lr=1e30, lr_schedule="constant", weight_decay=0.5), update=still)
    assert "--lr" in caught.value.hint


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in ({"epochs": -1}, {"lr": 0.0}, {"lr": float("nan")}):
        with pytest.raises(UsageError):
            Training(**wrong)
    model, given = linear()
    with pytest.raises(ModelError, match="no parameter that could be trained"):
        train(model.requires_grad_(False), {}, given, Training(epochs=1), update=still)


def test_no_bit_of_a_state_may_be_another(tmp_path: Path) -> None:
    """torch itself reads nine of ten such files, with other numbers."""
    path = tmp_path / "state"
    Resume(path, "mine").write({"step": 1, "model": {"w": torch.arange(600.0)}})
    whole, believed = path.read_bytes(), 0
    for bit in random.Random(4).sample(range(len(whole) * 8), 60):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(UsageError, match="no state of a training"):
            Resume(path, "mine").read()
        with suppress(Exception):
            torch.load(io.BytesIO(content[65:]), weights_only=True)
            believed += 1
    assert believed > 30


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_state_that_somebody_else_wrote_is_refused(
    optimizer: Optimizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a right digest and a right key, since it lies where others may write."""
    training = Training(epochs=3, lr=0.05, seed=3, optimizer=optimizer)
    resume = Resume(tmp_path / "state", "key")

    def run() -> None:
        model = network()
        masks = masking.whole(model, NAMES)
        train(model, masks, examples(), training, update=still, held_out=examples(), resume=resume)

    run()
    state = resume.read()
    assert state is not None
    run()  # as it is, it goes on
    moments = state["optimizer"]["state"]
    lacking = {name: value for name, value in moments[0].items() if name != next(iter(moments[0]))}
    other_values: tuple[object, ...] = (None, "a", [1], {"a": 1}, torch.zeros(2))
    others: list[dict[str, object]] = [
        *({name: value} for name in state for value in other_values),
        {"step": -1}, {"step": 10**9}, {"losses": float("nan")}, {"history": [*state["history"], (0.1, None, None)]},
        {"history": [("a", "b", None)] * len(state["history"])},
        {"best": {**state["best"], "rank": "a"}}, {"best": {**state["best"], "rank": (0.1, "a")}},
        {"best": {**state["best"], "model": {}}}, {"best": {**state["best"], "masks": {}}},
        {"masks": {name: mask[:1] for name, mask in state["masks"].items()}},
        {"masks": {name: mask.double() for name, mask in state["masks"].items()}},
        {"optimizer": {"state": {0: {**moments[0], "more": torch.zeros(1)}}}},
        {"optimizer": {"state": {0: lacking}}}, {"optimizer": {"state": {99: moments[0]}}},
        {"optimizer": {"state": {0: {name: torch.zeros(7) for name in moments[0]}}}},
    ]  # fmt: skip
    for other in others:
        if other.get("best", 0) is None:  # which is what there is without held out samples
            continue
        resume.write({**state, **other})
        with pytest.raises(UsageError, match="no state of a training"):
            run()
    for lacks in state:
        resume.write({name: value for name, value in state.items() if name != lacks})
        with pytest.raises(UsageError, match="no state of a training"):
            run()


class Halved:
    """Half of the mean cross-entropy, and which rows came in which epoch."""

    def __init__(self, worse: int | None = None) -> None:
        self.rows: list[list[int]] = [[]]
        self.worse = worse

    def loss(self, scores: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        self.rows[-1] += rows.tolist()
        sign = -40 if self.worse is not None and len(self.rows) > self.worse else 0.5
        return sign * cross_entropy(scores, labels).mean()

    def ended(self) -> None:
        self.rows.append([])

    def state(self) -> dict[str, torch.Tensor]:
        flat = [(epoch, row) for epoch, rows in enumerate(self.rows) for row in rows]
        return {"rows": torch.tensor(flat).reshape(-1, 2), "epochs": torch.tensor(len(self.rows))}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        check_like(state, {"rows": state["rows"].reshape(-1, 2).long(), "epochs": torch.tensor(0)})
        self.rows = [[] for _ in range(int(state["epochs"]))]
        for epoch, row in state["rows"].tolist():
            self.rows[epoch].append(row)


@pytest.mark.parametrize("at", [1, 3, 4, 8, 10])
def test_one_with_an_objective_and_a_judge_goes_on_and_ends_the_same(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three steps an epoch, of which the fourth one is so bad that the training ends after it."""
    monkeypatch.setattr("prune_audit.nets.resume.SECONDS", 0.0)

    def whole(
        resume: Resume | None, stop: int | None = None
    ) -> tuple[dict[str, torch.Tensor], object, list[list[int]], int]:
        model, objective, seen = network(), Halved(worse=3), []

        def update(step: int, masks: Masks) -> Masks:
            seen.append(step)
            if step == stop:
                raise Stop
            return masks

        _, history = train(
            model, {}, examples(), Training(epochs=9, lr=0.05, lr_schedule="constant"), update=update,
            held_out=examples(), objective=objective, resume=resume,
            judged=lambda: float(model.get_parameter("8.weight").detach().abs().sum()),
        )  # fmt: skip
        return model.state_dict(), history, objective.rows, seen[0] if seen else -1

    wanted, history, rows, _ = whole(None)
    with pytest.raises(Stop):
        whole(Resume(tmp_path / "state", "key"), at)
    for begins in (at, -1):  # once it is over there is nothing left to do
        found, again, seen, first = whole(Resume(tmp_path / "state", "key"))
        assert (again, seen, first) == (history, rows, begins)
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert len(rows) == 5  # of nine epochs, the last of which is not begun
    state = Resume(tmp_path / "state", "key").read()
    assert state is not None
    wrongs: list[dict[str, object]] = [
        {},
        {"objective": {}},
        {"objective": {**state["objective"], "more": torch.zeros(1)}},
    ]
    for wrong in wrongs:
        other = {name: value for name, value in state.items() if name != "objective"} | wrong
        Resume(tmp_path / "state", "key").write(other)
        with pytest.raises(UsageError, match="no state of a training"):
            whole(Resume(tmp_path / "state", "key"))


def test_an_objective_is_given_the_rows_of_its_samples_and_its_gradient_is_followed() -> None:
    """Half of the loss at twice the rate is the loss, as long as nothing else of the step depends on either."""
    plain, halved, objective = network(), network(), Halved()
    training = Training(epochs=2, lr=0.01, weight_decay=0.0, batch_size=16)
    train(plain, {}, examples(), training, update=still)
    train(halved, {}, examples(), replace(training, lr=0.02), update=still, objective=objective)
    assert [sorted(rows) for rows in objective.rows] == [list(range(40)), list(range(40)), []]
    for one, other in zip(plain.parameters(), halved.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_epoch_of_the_lowest_judgement_is_kept_and_of_equal_ones_that_of_the_lowest_loss() -> None:
    given = iter([3.0, 1.0, 1.0, 2.0])
    seen: list[dict[str, torch.Tensor]] = []
    model = network()

    def judged() -> float:
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(given)

    _, history = train(
        model, {}, examples(), Training(epochs=4, lr=0.05), update=still, held_out=examples(size=8), judged=judged
    )
    assert [epoch.judged for epoch in history] == [3.0, 1.0, 1.0, 2.0]
    best = 1 if (history[1].held_out or 0) < (history[2].held_out or 0) else 2
    assert all(torch.equal(value, seen[best][name]) for name, value in model.state_dict().items())


def test_an_objective_that_doubles_the_loss_on_held_out_samples_ends_the_training_with_the_best_epoch() -> None:
    model = network()
    _, history = train(
        model,
        {},
        examples(),
        Training(epochs=9, lr=0.05, lr_schedule="constant"),
        update=still,
        held_out=examples(),
        objective=Halved(worse=2),
    )
    losses = [epoch.held_out or 0.0 for epoch in history]
    assert 3 <= len(history) < 9
    assert losses[-1] > 2 * min(losses)
    assert mean_loss(model, examples()) == pytest.approx(min(losses))
