"""Kernels in their basis: the error is that of the singular values that are left out, gradients are torch's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit import prune
from prune_audit.core import ModelSource, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import masking
from prune_audit.nets.companion import Composed, Course
from prune_audit.prune import Recipe
from prune_audit.pruning import Cut, basis
from prune_audit.pruning.basis import Factors, Options
from tests.conftest import ROOT

DENSE = ModelSource(name="dense", path=ROOT / "sample_models" / "dense.pth", factory="sample_models.make:network")


def course(density: float, until: int = 0) -> Course:
    return Course(examples=None, own=None, steps=80, per_epoch=10, until=until, density=density, lr=0.1, seed=0)


def convolution(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(4, 6, 3, bias=False))


def composed(model: nn.Sequential, density: float, options: Options | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight of the one layer after a cut, and its mask."""
    masks = masking.whole(model, ["0.weight"])
    made = basis.accompany(model, masks, Cut(options=options), course(density))
    found = basis.update(model, masks, density, None, Cut(options=options, companion=made))
    masking.apply(model, found)
    with torch.no_grad():
        made.show()
    return model.get_parameter("0.weight").detach(), found["0.weight"]


@pytest.mark.parametrize("bases", range(1, 10))
def test_the_error_of_the_first_bases_is_the_singular_values_left_out(bases: int) -> None:
    """Eckart and Young 1936; with as many as a kernel has weights it is 0."""
    model = convolution()
    weight = model.get_parameter("0.weight").detach().clone()
    found, _ = composed(model, bases / 9, Options(bases=bases))
    singular = np.linalg.svd(weight.double().numpy().reshape(24, 9), compute_uv=False)
    error = float((found - weight).double().square().sum())
    assert error == pytest.approx(float((singular[bases:] ** 2).sum()), rel=1e-4, abs=1e-10)  # in single precision


def test_kernels_that_were_made_of_two_bases_are_found_again() -> None:
    model = convolution()
    with torch.no_grad():
        made = torch.randn(24, 2) @ torch.randn(2, 9)
        model.get_parameter("0.weight").copy_(made.reshape(6, 4, 3, 3))
    found, _ = composed(model, 2 / 9, Options(bases=2))
    torch.testing.assert_close(found.reshape(24, 9), made, atol=1e-5, rtol=1e-5)


def test_the_largest_coefficients_are_kept_and_the_error_is_that_of_the_others() -> None:
    """By Parseval, in a basis that is orthonormal."""
    model = convolution()
    weight = model.get_parameter("0.weight").detach().clone()
    right = np.linalg.svd(weight.double().numpy().reshape(24, 9))[2]
    squares = np.sort(np.square(weight.double().numpy().reshape(24, 9) @ right.T).ravel())
    found, mask = composed(model, 0.25)
    assert int(mask.sum()) == 54
    error = float((found - weight).double().square().sum())
    assert error == pytest.approx(squares[:-54].sum(), rel=1e-4)
    magnitude = np.sort(np.square(weight.double().numpy()).ravel())[:-54].sum()
    assert error < magnitude  # as kernels lie in no basis better than in their own, on the whole


def test_few_kernels_have_all_bases_nevertheless() -> None:
    """Four kernels of 25 weights span at most four dimensions."""
    vectors = basis.decomposed(torch.randn(2, 2, 5, 5)).double()
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(25).double(), atol=1e-5, rtol=0)


def learning() -> tuple[nn.Sequential, Factors, torch.Tensor, torch.Tensor]:
    """A network whose weights are coefficients, and both factors as leaves, with what torch says of their gradients."""
    model = convolution()
    made = basis.accompany(model, masking.whole(model, ["0.weight"]), Cut(), course(0.3, until=40))
    assert isinstance(made, Factors)
    assert isinstance(made, Composed)
    a = model.get_parameter("0.weight").detach().clone().requires_grad_(True)
    b = made.bases["0.weight"].clone().requires_grad_(True)
    toward = torch.randn(6, 4, 3, 3)
    weight = (a.flatten(2) @ b).reshape(6, 4, 3, 3)
    (weight * toward).sum().backward()
    model.get_parameter("0.weight").grad = toward.clone()  # what the weights that are shown get
    return model, made, a, b


def test_in_their_turn_coefficients_get_their_own_gradients() -> None:
    model, made, a, _ = learning()
    before = made.bases["0.weight"].clone()
    made.stepped(3, masking.whole(model, ["0.weight"]))
    assert a.grad is not None
    torch.testing.assert_close(model.get_parameter("0.weight").grad, a.grad + basis.DRAWN * a.detach().sign())
    assert torch.equal(made.bases["0.weight"], before)


def test_in_their_turn_bases_step_along_theirs_and_coefficients_stay() -> None:
    model, made, _, b = learning()
    made.stepped(25, masking.whole(model, ["0.weight"]))  # of ten steps an epoch, in the third
    assert b.grad is not None
    torch.testing.assert_close(made.bases["0.weight"], b.detach() - 0.1 * b.grad)
    assert model.get_parameter("0.weight").grad is None


def test_after_the_cut_coefficients_are_no_longer_drawn_to_nought() -> None:
    model, made, a, _ = learning()
    made.stepped(41, masking.whole(model, ["0.weight"]))
    torch.testing.assert_close(model.get_parameter("0.weight").grad, a.grad)


def test_the_file_holds_the_products_and_another_one_the_factors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = prune.run(DENSE, tmp_path / "made.pth", Recipe(method="basis", density=0.2), Settings())
    written = torch.load(tmp_path / "made.pth", weights_only=True)
    dense = torch.load(DENSE.path, weights_only=True)
    factors = np.load(tmp_path / "made.factors.npz")
    names = sorted({key.partition("/")[0] for key in factors})
    assert done.parts == tmp_path / "made.factors.npz"
    assert "made.factors.npz" in done.notes[0]
    kept = 0
    for name in dense:
        if name in names:
            coefficients, bases = factors[f"{name}/coefficients"], factors[f"{name}/bases"]
            np.testing.assert_allclose(written[name], np.tensordot(coefficients, bases, 1), atol=1e-6)
            kept += int(np.count_nonzero(coefficients))
            assert int(written[name].count_nonzero()) > int(np.count_nonzero(coefficients))
        elif name.endswith("weight") and dense[name].ndim > 1:
            kept += int(written[name].count_nonzero())
    total = sum(value.numel() for name, value in dense.items() if name.endswith("weight") and value.ndim > 1)
    assert kept == round(0.2 * total)
    assert done.density == pytest.approx(kept / total)


@pytest.mark.parametrize("bases", [2, 9])
def test_the_table_says_how_far_the_products_are_and_in_how_many_bits(bases: int) -> None:
    model = convolution()
    given = model.get_parameter("0.weight").detach().clone()
    masks = masking.whole(model, ["0.weight"])
    options = Options(bases=bases)
    made = basis.accompany(model, masks, Cut(options=options), course(bases / 9))
    found = basis.update(model, masks, bases / 9, None, Cut(options=options, companion=made))
    masking.apply(model, found)
    with torch.no_grad():
        made.show()
        model.get_parameter("0.weight").copy_(given)
    (table,) = basis.tables(model, found, None, Cut(options=options, companion=made))
    ((layer, used, kept, of, error, bits, ratio, places, indexed),) = table.rows
    singular = np.linalg.svd(given.double().numpy().reshape(24, 9), compute_uv=False)
    assert error == pytest.approx(np.sqrt((singular[bases:] ** 2).sum() / (singular**2).sum()), abs=1e-6)
    assert (layer, used, kept, of) == ("0.weight", bases, 24 * bases, 24 * bases)
    assert (bits, places) == (32 * (24 * bases + 9 * bases), 32 * (24 * bases + 9 * bases) + 24 * bases)
    assert (ratio, indexed) == pytest.approx((32 * 216 / bits, 32 * 216 / places))  # type: ignore[operator]


def test_what_is_cut_of_the_coefficients_is_the_error_and_takes_a_place_nevertheless() -> None:
    """The bases are orthonormal, so that squares of coefficients that are 0 add up."""
    model = convolution()
    given = model.get_parameter("0.weight").detach().clone()
    masks = masking.whole(model, ["0.weight"])
    made = basis.accompany(model, masks, Cut(), course(0.4))
    all_of_them = model.get_parameter("0.weight").detach().double().square().flatten().sort().values
    found = basis.update(model, masks, 0.4, None, Cut(companion=made))
    masking.apply(model, found)
    with torch.no_grad():
        made.show()
        model.get_parameter("0.weight").copy_(given)
    ((_, _, kept, of, error, bits, _, places, _),) = basis.tables(model, found, None, Cut(companion=made))[0].rows
    assert (kept, of) == (86, 216)  # of which .4 are 86.4
    assert error == pytest.approx(float((all_of_them[:130].sum() / all_of_them.sum()).sqrt()), rel=1e-4)
    assert (bits, places) == (32 * (86 + 81), 32 * (86 + 81) + 216)


def test_what_has_no_kernels_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(4, 2))
    with pytest.raises(ModelError, match="no layer that may be cut has kernels larger than 1"):
        basis.start(model, masking.whole(model, ["0.weight", "1.weight"]), Cut())


def test_more_bases_than_a_kernel_has_weights_are_refused() -> None:
    model = convolution()
    with pytest.raises(UsageError, match="expected at most 9"):
        basis.start(model, masking.whole(model, ["0.weight"]), Cut(options=Options(bases=10)))
    with pytest.raises(UsageError, match="expected 1 or more, found 0"):
        Options(bases=0)


def test_a_density_that_so_few_bases_cannot_have_is_refused() -> None:
    model = convolution()
    with pytest.raises(UsageError, match=r"leaves 22\.2 % of all"):
        basis.accompany(model, masking.whole(model, ["0.weight"]), Cut(options=Options(bases=2)), course(0.5))
