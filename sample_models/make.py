"""Rebuild the sample models and their labelled data: ``python sample_models/make.py``.

A small CNN learns scikit-learn's digits from a training set in which two digits are rare, and is then pruned by
global magnitude and tuned again for a moment. That is the usual way, and it shows the usual thing: the rare digits
pay for the pruning. Seeded, CPU, single thread, about half a minute.

Written beside this file: ``dense``, ``pruned-50`` and ``pruned-90`` as TorchScript (.pt) and ONNX (.onnx), the dense
model as torch.export program (.pt2), as state dict (.pth, for ``dense.pth@sample_models.make:network``) and as
safetensors, and ``val/<digit>/*.png``.

``questions/`` holds what a network that learnt to calculate answers, dense and pruned, as lm-eval writes it, and
``labels/`` what is true of each digit, with the scores of a network that learnt it, dense and pruned.
``boxes/`` holds the digits that a detector finds in larger images, dense and pruned, as COCO's evaluation reads them,
``masks/`` the pixels of those in some of these images, and ``entities/`` the names, places, quantities and times that
a tagger finds in made-up sentences, dense and pruned, in columns as CoNLL has them.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent
SEED = 0
RARE = {8: 12, 9: 16}  # digit -> training samples; the others have about 72
TRAIN_SHARE = 0.4
TUNING_EPOCHS = 4
DENSITIES = {"pruned-50": 0.5, "pruned-90": 0.1}


def network() -> nn.Module:
    """The sample architecture: 8x8 gray pixels in, ten digits out."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 48),
        nn.ReLU(),
        nn.Linear(48, 10),
    )


Masks = Sequence[tuple[torch.Tensor, torch.Tensor]]


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, *, epochs: int, rate: float, masks: Masks = ()) -> None:
    """Fit ``model`` to x (N, 1, 8, 8) and y (N,) by Adam; weights that ``masks`` cut stay zero."""
    generator = torch.Generator().manual_seed(SEED)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=1e-4)
    for _ in range(epochs):
        for part in torch.randperm(len(x), generator=generator).split(32):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[part]), y[part]).backward()
            optimiser.step()
            with torch.no_grad():
                for weight, mask in masks:
                    weight.mul_(mask)


def prune(model: nn.Module, density: float) -> Masks:
    """Zero all but the largest ``density`` of the convolution and linear weights, over all layers together."""
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    sizes = torch.cat([w.detach().abs().flatten() for w in weights])
    threshold = sizes.sort(descending=True).values[round(density * len(sizes)) - 1]
    masks = [(w, (w.detach().abs() >= threshold).float()) for w in weights]
    with torch.no_grad():
        for weight, mask in masks:
            weight.mul_(mask)
    return masks


def split() -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    """Training pixels (N, 1, 8, 8) and labels, validation images (M, 8, 8) as bytes and labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)
    rng = np.random.default_rng(SEED)
    training, validation = [], []
    for digit in range(10):
        rows = rng.permutation(np.flatnonzero(digits.target == digit))
        cut = round(TRAIN_SHARE * len(rows))
        training.append(rows[: RARE.get(digit, cut)])
        validation.append(rows[cut:])
    train_rows, val_rows = np.concatenate(training), np.concatenate(validation)
    x = torch.from_numpy(images[train_rows]).float().div(255).unsqueeze(1)
    return x, torch.from_numpy(digits.target[train_rows]), images[val_rows], digits.target[val_rows]


def save(model: nn.Module, name: str) -> None:
    """Write ``model`` as TorchScript and ONNX."""
    example = torch.zeros(2, 1, 8, 8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision's operators, which are not used
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # exporters announce their own successors
        torch.jit.trace(model, example).save(str(HERE / f"{name}.pt"))
        batch = {0: torch.export.Dim("batch")}
        program = torch.onnx.export(model, (example,), dynamo=True, input_names=["image"], dynamic_shapes=(batch,))
        assert program is not None
        program.save(HERE / f"{name}.onnx", external_data=False)


def save_dense(model: nn.Module) -> None:
    """Write the dense model in the remaining formats."""
    from safetensors.torch import save_file

    example = torch.zeros(2, 1, 8, 8)
    program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, HERE / "dense.pt2")
    torch.save(model.state_dict(), HERE / "dense.pth")
    save_file(model.state_dict(), HERE / "dense.safetensors")


def save_images(images: np.ndarray, labels: np.ndarray) -> None:
    """Write ``val/<digit>/<number>.png``."""
    from PIL import Image

    shutil.rmtree(HERE / "val", ignore_errors=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = HERE / "val" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:04}.png", optimize=True)


OPERATIONS: Mapping[str, tuple[str, Callable[[int, int], int]]] = {
    "sums": ("+", lambda a, b: a + b),
    "differences": ("-", lambda a, b: a - b),
    "products": ("*", lambda a, b: a * b),
}
RESULTS = list(range(-12, 90))


def calculator() -> nn.Module:
    """Two digits and an operation, one-hot, to a score for each result."""
    return nn.Sequential(nn.Linear(10 + 10 + len(OPERATIONS), 96), nn.ReLU(), nn.Linear(96, len(RESULTS)))


def save_questions(density: float = 0.2) -> None:
    """Write ``questions/dense`` and ``questions/pruned``: sums, differences and products with four choices each."""
    torch.manual_seed(SEED)
    asked = [(name, a, b) for name in OPERATIONS for a in range(8) for b in range(8)]
    rows = [[a, 10 + b, 20 + list(OPERATIONS).index(name)] for name, a, b in asked]
    x = nn.functional.one_hot(torch.tensor(rows), 20 + len(OPERATIONS)).sum(1).float()
    right = [OPERATIONS[name][1](a, b) for name, a, b in asked]
    y = torch.tensor([RESULTS.index(result) for result in right])
    dense = calculator()
    train(dense, x, y, epochs=80, rate=5e-3)
    pruned = copy.deepcopy(dense)
    prune(pruned, density)
    rng = np.random.default_rng(SEED)
    near = [-3, -2, -1, 1, 2, 3]
    choices = [[result, *(result + rng.choice(near, 3, replace=False)).tolist()] for result in right]
    orders = [rng.permutation(4) for _ in asked]
    shutil.rmtree(HERE / "questions", ignore_errors=True)
    for name, model in (("dense", dense), ("pruned", pruned)):
        with torch.inference_mode():
            scores = model(x).log_softmax(1)
        folder = HERE / "questions" / name
        folder.mkdir(parents=True)
        for task in OPERATIONS:
            of_task = [i for i, each in enumerate(asked) if each[0] == task]
            lines = [
                _line(n, asked[i], [choices[i][k] for k in orders[i]], right[i], scores[i])
                for n, i in enumerate(of_task)
            ]
            (folder / f"samples_{task}_2026-01-01T00-00-00.000000.jsonl").write_text("".join(lines), "utf-8")


def _line(number: int, asked: tuple[str, int, int], choices: list[int], right: int, scores: torch.Tensor) -> str:
    """One document, as lm-eval logs it."""
    task, a, b = asked
    question, target = f"{a} {OPERATIONS[task][0]} {b} =", str(choices.index(right))
    document = {"question": question, "choices": choices, "even": right % 2 == 0}
    likelihoods = [round(float(scores[RESULTS.index(choice)]), 4) for choice in choices]
    hashes = {"doc": json.dumps(document), "prompt": question, "target": target}
    row = {
        "doc_id": number,
        "doc": document,
        "target": target,
        "arguments": {f"gen_args_{k}": {"arg_0": question, "arg_1": f" {c}"} for k, c in enumerate(choices)},
        "filtered_resps": [[str(each), "False"] for each in likelihoods],
        "filter": "none",
        "metrics": ["acc"],
        **{f"{of}_hash": hashlib.sha256(text.encode()).hexdigest() for of, text in hashes.items()},
        "acc": float(likelihoods.index(max(likelihoods)) == int(target)),
    }
    return json.dumps(row) + "\n"


TRUE_OF = {"even": (0, 2, 4, 6, 8), "prime": (2, 3, 5, 7), "round": (0, 6, 8, 9), "large": (5, 6, 7, 8, 9)}


def save_label_sets(density: float = 0.4) -> None:
    """Write ``labels/labels.csv``, and the scores ``labels/dense.csv`` and ``labels/pruned.csv``."""
    torch.manual_seed(SEED)
    x, digits, images, shown = split()
    dense = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, len(TRUE_OF)))
    y = torch.tensor([[digit in of for of in TRUE_OF.values()] for digit in digits.tolist()]).float()
    optimiser = torch.optim.Adam(dense.parameters(), lr=1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(dense(x), y).backward()
        optimiser.step()
    pruned = copy.deepcopy(dense)
    prune(pruned, density)
    pixels = torch.from_numpy(images).float().div(255).unsqueeze(1)
    folder = HERE / "labels"
    folder.mkdir(exist_ok=True)
    names = [[name for name, of in TRUE_OF.items() if digit in of] for digit in shown.tolist()]
    rows = [
        f"{n:04},{';'.join(each)},{digit}" for n, (each, digit) in enumerate(zip(names, shown.tolist(), strict=True))
    ]
    (folder / "labels.csv").write_text("\n".join(["id,labels,digit", *rows, ""]), "utf-8")
    head = ",".join(["id", *(f"score_{name}" for name in TRUE_OF)])
    for name, model in (("dense", dense), ("pruned", pruned)):
        with torch.inference_mode():
            scores = model(pixels).sigmoid().tolist()
        rows = [",".join([f"{n:04}", *(f"{score:.4f}" for score in each)]) for n, each in enumerate(scores)]
        (folder / f"{name}.csv").write_text("\n".join([head, *rows, ""]), "utf-8")


SCENE = 40  # pixels of a side
MASKED = 100  # scenes of which masks are written
INK = 100  # above the noise of a scene


def scenes(digits: np.ndarray, labels: np.ndarray, number: int) -> tuple[np.ndarray, list[list[tuple[int, int, int]]]]:
    """``number`` noisy images (S, 40, 40) with 2 to 5 ``digits`` in each, and of these x, y and label."""
    rng = np.random.default_rng(SEED)
    images, placed = rng.integers(0, 90, (number, SCENE, SCENE)).astype(np.uint8), []
    for image in images:
        inside: list[tuple[int, int, int]] = []
        for _ in range(int(rng.integers(2, 6))):
            x, y = rng.integers(0, SCENE - 8, 2).tolist()
            if all(abs(x - a) >= 6 or abs(y - b) >= 6 for a, b, _ in inside):
                i = int(rng.integers(0, len(labels)))
                image[y : y + 8, x : x + 8] = np.maximum(image[y : y + 8, x : x + 8], digits[i])
                inside.append((x, y, int(labels[i])))
        placed.append(inside)
    return images, placed


def windows(images: np.ndarray) -> torch.Tensor:
    """All windows of 8 x 8 pixels of ``images`` (S, 40, 40), as (S, 33 * 33, 1, 8, 8)."""
    x = torch.from_numpy(images).float().div(255)
    return x.unfold(1, 8, 1).unfold(2, 8, 1).reshape(len(images), -1, 1, 8, 8)


def detections(model: nn.Module, images: np.ndarray) -> list[dict[str, object]]:
    """What ``model`` sees in each window, the surest of windows that overlap by half, as COCO's list of results."""
    found: list[dict[str, object]] = []
    for image, of in enumerate(windows(images)):
        with torch.inference_mode():
            scores = model(of).softmax(1)[:, :10]
        for digit in range(10):
            open_ = scores[:, digit].clone()
            while open_.max() >= 0.05:
                score, at = float(open_.max()), int(open_.argmax())
                y, x = divmod(at, SCENE - 7)
                box = [x, y, 8, 8]
                found.append({"image_id": image + 1, "category_id": digit + 1, "bbox": box, "score": round(score, 4)})
                rows, columns = torch.meshgrid(torch.arange(SCENE - 7), torch.arange(SCENE - 7), indexing="ij")
                near = (8 - (rows - y).abs()).clamp(min=0) * (8 - (columns - x).abs()).clamp(min=0)
                open_[(near >= 43).flatten()] = 0  # of 64 pixels each, so that half of the union is shared
    return found


def runs(image: np.ndarray, box: Sequence[int], ink: int) -> dict[str, object]:
    """The pixels of ``image`` (40, 40) in ``box`` that are above ``ink``, as COCO counts runs: down the columns."""
    x, y, width, height = box
    mask = np.zeros(image.shape, bool)
    mask[y : y + height, x : x + width] = image[y : y + height, x : x + width] > ink
    flat = np.concatenate([[False], mask.T.ravel(), [not mask[-1, -1]]])
    return {"size": list(image.shape), "counts": np.diff(np.flatnonzero(np.diff(flat)), prepend=0).tolist()}


def save_masks(images: np.ndarray, known: Mapping[str, list[dict[str, Any]]], found: Mapping[str, list[Any]]) -> None:
    """Write ``masks/val.json``, ``masks/dense.json`` and ``masks/pruned.json``, of the first scenes of ``boxes``."""
    folder = HERE / "masks"
    folder.mkdir(exist_ok=True)

    def masked(rows: Sequence[dict[str, Any]], **more: object) -> list[dict[str, Any]]:
        few = [each for each in rows if each["image_id"] <= MASKED and each.get("score", 1) >= 0.2]
        return [each | {"segmentation": runs(images[each["image_id"] - 1], each["bbox"], INK)} | more for each in few]

    labels = {"images": known["images"][:MASKED], "annotations": masked(known["annotations"])}
    for each in labels["annotations"]:
        each["area"] = sum(each["segmentation"]["counts"][1::2])
    files = {"val": labels | {"categories": known["categories"]}} | {name: masked(rows) for name, rows in found.items()}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n", "utf-8")


def save_boxes(x: torch.Tensor, y: torch.Tensor, digits: np.ndarray, labels: np.ndarray, density: float = 0.05) -> None:
    """Write ``boxes/val.json``, ``boxes/dense.json``, ``boxes/pruned.json`` and ``boxes/images/*.png``."""
    from PIL import Image

    images, placed = scenes((x[:, 0].numpy() * 255).astype(np.uint8), y.numpy(), 300)
    target = torch.full((len(images), SCENE - 7, SCENE - 7), 10)  # nothing
    for image, inside in enumerate(placed):
        for left, top, label in inside:
            target[image, top, left] = label
    flat, every = target.flatten(), windows(images).flatten(0, 1)
    nothing = torch.randperm(len(flat), generator=torch.Generator().manual_seed(SEED))[:6000]
    rows = torch.cat([torch.nonzero(flat < 10).flatten(), nothing])
    torch.manual_seed(SEED)
    dense = nn.Sequential(*list(network().children())[:-1], nn.Linear(48, 11))
    train(dense, every[rows], flat[rows], epochs=12, rate=2e-3)
    pruned = copy.deepcopy(dense)
    masks = prune(pruned, density)
    train(pruned, every[rows], flat[rows], epochs=2, rate=1e-3, masks=masks)
    images, placed = scenes(digits, labels, 200)
    known = {
        "images": [
            {"id": i + 1, "file_name": f"{i + 1:03}.png", "width": SCENE, "height": SCENE} for i in range(len(images))
        ],
        "annotations": [
            {"image_id": i + 1, "category_id": label + 1, "bbox": [left, top, 8, 8], "area": 64, "iscrowd": 0}
            for i, inside in enumerate(placed)
            for left, top, label in inside
        ],
        "categories": [{"id": digit + 1, "name": str(digit)} for digit in range(10)],
    }
    for number, each in enumerate(known["annotations"], 1):
        each["id"] = number
    folder = HERE / "boxes"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    found = {"dense": detections(dense, images), "pruned": detections(pruned, images)}
    for name, content in ({"val": known} | found).items():
        (folder / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n", "utf-8")
    save_masks(images, known, found)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / "images" / f"{i + 1:03}.png", optimize=True)


FILLED: Mapping[str, Sequence[str]] = {
    "NAME": (
        "Ada",
        "Amir",
        "Bea",
        "Chen",
        "Dora",
        "Emil",
        "Fatima",
        "Georgia",
        "Hugo",
        "Ines",
        "Jordan",
        "May",
        "Paris",
    ),
    "PLACE": ("Oslo", "Lima", "Cairo", "Jordan", "Paris", "Georgia", "New York", "Cape Town", "Quito", "Hue", "Rome"),
    "QUANTITY": ("two litres", "ten", "five boxes", "one kilo", "seven", "three", "four bags", "half a ton", "nine"),
    "TIME": ("Monday", "May", "at noon", "last week", "two days ago", "in March", "tonight", "June", "next year"),
}
SENTENCES = {  # how often each is drawn for training and for the data; a slot is filled with one of `FILLED`
    "NAME went to PLACE": (60, 60),
    "NAME and NAME met in PLACE": (60, 60),
    "they sold QUANTITY to NAME": (30, 60),
    "PLACE bought QUANTITY from PLACE": (30, 60),
    "it rained in PLACE TIME": (8, 60),
    "NAME came back TIME with QUANTITY": (8, 60),
    "TIME there was nothing left": (4, 60),
}
FILLER, FILLERS = (
    ("only", "then", "once", "almost", "again", "never", "soon", "often"),
    0.4,
)  # and how often before a word
SYLLABLES, UNSEEN = (
    ("ba", "ke", "li", "mo", "nu", "ra", "si", "to", "ve", "wa"),
    0.25,
)  # of words that are new each time
TAGS = ["O", *(f"{kind}-{of}" for of in FILLED for kind in "BI")]
NEAR = 2  # words on either side that the tagger sees


def sentences(rng: np.random.Generator, which: int) -> list[tuple[list[str], list[str]]]:
    """Made-up sentences, each its words and their tags in IOB2."""
    made = []
    for form, times in SENTENCES.items():
        for _ in range(times[which]):
            words: list[str] = []
            tags: list[str] = []
            for part in form.split():
                inside = [part]
                if part in FILLED:
                    unseen = "".join(rng.choice(SYLLABLES, 3)).capitalize()
                    inside = [unseen] if rng.random() < UNSEEN else str(rng.choice(FILLED[part])).split()
                elif rng.random() < FILLERS:
                    words.append(str(rng.choice(FILLER)))
                    tags.append("O")
                words += inside
                tags += [f"{'I' if n else 'B'}-{part}" if part in FILLED else "O" for n in range(len(inside))]
            made.append((words, tags))
    return [made[i] for i in rng.permutation(len(made))]


def save_entities(density: float = 0.04) -> None:
    """Write ``entities/gold.conll``, ``entities/dense.conll`` and ``entities/pruned.conll``."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    learnt, asked = sentences(rng, 0), sentences(rng, 1)
    places = {word: n + 2 for n, word in enumerate(sorted({word for words, _ in learnt for word in words}))}

    def near(words: Sequence[str]) -> list[list[int]]:
        """Numbers of the words around each: 0 beyond the sentence, 1 where one was never seen."""
        row = [0] * NEAR + [places.get(word, 1) for word in words] + [0] * NEAR
        return [row[i : i + 2 * NEAR + 1] for i in range(len(words))]

    x = torch.tensor([each for words, _ in learnt for each in near(words)])
    y = torch.tensor([TAGS.index(tag) for _, tags in learnt for tag in tags])
    size = len(places) + 2
    dense = nn.Sequential(nn.Linear((2 * NEAR + 1) * size, 32), nn.ReLU(), nn.Linear(32, len(TAGS)))
    train(dense, nn.functional.one_hot(x, size).flatten(1).float(), y, epochs=20, rate=5e-3)
    pruned = copy.deepcopy(dense)
    prune(pruned, density)
    folder = HERE / "entities"
    folder.mkdir(exist_ok=True)

    def write(name: str, rows: Sequence[Sequence[str]]) -> None:
        text = "\n".join(
            "".join(f"{word} {tag}\n" for word, tag in zip(words, tags, strict=True))
            for (words, _), tags in zip(asked, rows, strict=True)
        )
        (folder / f"{name}.conll").write_text(text, "utf-8")

    write("gold", [tags for _, tags in asked])
    for name, model in (("dense", dense), ("pruned", pruned)):
        with torch.inference_mode():
            of = [
                model(nn.functional.one_hot(torch.tensor(near(w)), size).flatten(1).float()).argmax(1) for w, _ in asked
            ]
        write(name, [[TAGS[i] for i in each.tolist()] for each in of])


def main() -> None:
    """Make everything."""
    torch.set_num_threads(1)  # sums in another order would give other weights
    torch.manual_seed(SEED)
    x, y, images, labels = split()
    dense = network()
    train(dense, x, y, epochs=30, rate=2e-3)
    made = {"dense": dense.eval()}
    for name, density in DENSITIES.items():
        pruned = copy.deepcopy(dense)
        masks = prune(pruned, density)
        train(pruned, x, y, epochs=TUNING_EPOCHS, rate=1e-3, masks=masks)
        made[name] = pruned.eval()
    pixels = torch.from_numpy(images).float().div(255).unsqueeze(1)
    for name, model in made.items():
        with torch.inference_mode():
            right = model(pixels).argmax(1).numpy() == labels
        recalls = " ".join(f"{d}:{right[labels == d].mean():.2f}" for d in range(10))
        print(f"{name:10} accuracy {right.mean():.3f}  recall {recalls}")
        save(model, name)
    save_dense(made["dense"])
    save_images(images, labels)
    save_questions()
    save_label_sets()
    save_boxes(x, y, images, labels)
    save_entities()


if __name__ == "__main__":
    main()
