"""Texts audited end to end, as a user would: a tokenizer, two networks of embedded words, the command line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import tokenizers
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.metrics import recall_score
from tokenizers import models, normalizers, pre_tokenizers, trainers

from prune_audit.cli import invoke
from prune_audit.core import Array
from prune_audit.document import read_audit

SIZE = 8  # of the embedding of a word


@dataclass(frozen=True)
class Network:
    """The mean of the words' embeddings, and a linear layer."""

    embedding: Array  # (V, SIZE)
    weights: Array  # (SIZE, C)

    def scores(self, ids: Sequence[int]) -> Array:
        found: Array = self.embedding[list(ids)].mean(axis=0) @ self.weights
        return found

    def save(self, path: Path, *, integer: int = TensorProto.INT64, length: int | None = None) -> str:
        held = {"embedding": self.embedding.astype(np.float32), "weights": self.weights.astype(np.float32)}
        nodes = [
            helper.make_node("Gather", ["embedding", "input_ids"], ["words"]),
            helper.make_node("Cast", ["attention_mask"], ["flat"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["flat", "last"], ["mask"]),
            helper.make_node("Mul", ["words", "mask"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "middle"], ["total"], keepdims=0),
            helper.make_node("ReduceSum", ["flat", "middle"], ["count"], keepdims=1),
            helper.make_node("Div", ["total", "count"], ["mean"]),
            helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        ]
        graph = helper.make_graph(
            nodes,
            "texts",
            [helper.make_tensor_value_info(n, integer, ["n", length]) for n in ("input_ids", "attention_mask")],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", self.weights.shape[1]])],
            [
                *(numpy_helper.from_array(values, name) for name, values in held.items()),
                numpy_helper.from_array(np.array([2]), "last"),
                numpy_helper.from_array(np.array([1]), "middle"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 10
        onnx.save(model, path)
        return str(path)


def words(texts: Sequence[str], most: int) -> tokenizers.Tokenizer:
    """A tokenizer of the commonest words of ``texts``."""
    made = tokenizers.Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(texts, trainers.WordLevelTrainer(vocab_size=most, special_tokens=["[PAD]", "[UNK]"]))
    return made


def train(ids: Sequence[Sequence[int]], labels: Array, vocabulary: int, epochs: int) -> Network:
    torch.manual_seed(0)
    bag, linear = torch.nn.EmbeddingBag(vocabulary, SIZE, mode="mean"), torch.nn.Linear(SIZE, 2, bias=False)
    optimiser = torch.optim.Adam([*bag.parameters(), *linear.parameters()], 0.02)
    ends = np.cumsum([0, *map(len, ids)])
    flat, y = torch.tensor(np.concatenate(ids)), torch.tensor(labels)
    for _ in range(epochs):
        for start in range(0, len(ids), 512):
            stop = min(start + 512, len(ids))
            offsets = torch.tensor(ends[start:stop] - ends[start])
            loss = torch.nn.functional.cross_entropy(
                linear(bag(flat[ends[start] : ends[stop]], offsets)), y[start:stop]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return Network(bag.weight.detach().numpy().astype(float), linear.weight.detach().numpy().T.astype(float))


def pruned(network: Network, kept: float) -> Network:
    """With the largest embeddings alone; the rest of the words say nothing."""
    least = np.quantile(abs(network.embedding), 1 - kept)
    return Network(np.where(abs(network.embedding) < least, 0, network.embedding), network.weights)


def check_recalls(report: Path, labels: Array, called: dict[str, Array], by: str, groups: Array) -> None:
    """The recalls of ``report`` (CSV) against scikit-learn's; ``groups`` are of the column ``by``."""
    with report.open(newline="") as file:
        table = {(row["by"], row["stratum"]): row for row in csv.DictReader(file)}
    expected = {("class", str(name)): labels == name for name in np.unique(labels)}
    expected |= {(by, str(name)): groups == name for name in np.unique(groups)}
    assert set(table) == set(expected)
    for key, here in expected.items():
        for column, predicted in called.items():
            found = recall_score(
                labels[here],
                predicted[here],
                labels=[key[1]] if key[0] == "class" else np.unique(labels),
                average="micro",
            )
            assert float(table[key][column]) == pytest.approx(found)


def test_film_reviews(shared: Path, tmp_path: Path) -> None:
    def read(name: str) -> tuple[list[str], Array]:
        with (shared / "rt-polarity" / name).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [row["text"] for row in rows], np.array([row["label"] for row in rows])

    texts, labels = read("train.csv")
    tokenizer = words(texts, 4000)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    dense = train(ids, labels.astype(int), tokenizer.get_vocab_size(), 5)
    networks = {"dense_recall": dense, "pruned_recall": pruned(dense, 0.1)}

    texts, labels = read("test.csv")
    long = np.array(["long" if len(text) > 120 else "short" for text in texts])
    with (tmp_path / "test.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label", "length"), *zip(texts, labels, long, strict=True)])
    files = [network.save(tmp_path / f"{name}.onnx") for name, network in networks.items()]
    command = ["compare", *files, "-d", str(tmp_path / "test.csv"), "--tokenizer", str(tmp_path / "tokenizer.json")]
    outputs = ["-o", str(tmp_path / "a.csv"), "-o", str(tmp_path / "a.json")]
    assert invoke([*command, "--by", "length", "--no-cache", "--batch-size", "100", *outputs]) == 0

    called = {
        name: np.array(["01"[network.scores(tokenizer.encode(text).ids).argmax()] for text in texts])
        for name, network in networks.items()
    }
    assert recall_score(labels, called["dense_recall"], average="macro") > 0.65
    check_recalls(tmp_path / "a.csv", labels, called, "length", long)
    longest = max(len(tokenizer.encode(text).ids) for text in texts)
    [told] = [note for note in read_audit(tmp_path / "a.json").provenance.notes if "tokens long" in note]
    assert told.endswith(f"padded to {longest}")


@pytest.fixture
def made(tmp_path: Path) -> tuple[list[str], Array, Array]:
    """Sentences of fillers and of words that tell their class, which one critic seldom uses."""
    draw = np.random.default_rng(0)
    told = {"neg": ["dull", "bad", "lazy"], "pos": ["fine", "good", "bold"]}
    labels, critics = draw.choice(["neg", "pos"], 300), draw.choice(["ann", "bob"], 300)
    texts = []
    for label, critic in zip(labels, critics, strict=True):
        kind = told[str(label)] if draw.random() < (0.95 if critic == "ann" else 0.7) else ["so"]
        sentence = [*draw.choice(["the", "a", "film", "is"], draw.integers(2, 9)), draw.choice(kind)]
        texts.append(" ".join(draw.permutation(sentence)))
    return texts, labels, critics


@pytest.mark.parametrize(("integer", "length"), [(TensorProto.INT64, None), (TensorProto.INT32, 6)])
def test_sentences_cut_where_the_model_ends(
    made: tuple[list[str], Array, Array], integer: int, length: int | None, tmp_path: Path
) -> None:
    texts, labels, critics = made
    tokenizer = words(texts, 100)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    dense = train([e.ids for e in tokenizer.encode_batch(texts)], (labels == "pos").astype(int), 13, 30)
    networks = {"dense_recall": dense, "pruned_recall": pruned(dense, 0.1)}
    (tmp_path / "classes.txt").write_text("n\np\n")
    (tmp_path / "map.csv").write_text("data,model\nneg,n\npos,p\n")
    with (tmp_path / "made.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows(
            [("critic", "review", "class"), *zip(critics, texts, labels, strict=True)]
        )
    files = [network.save(tmp_path / f"{n}.onnx", integer=integer, length=length) for n, network in networks.items()]
    command = ["compare", *files, "-d", str(tmp_path / "made.csv"), "--tokenizer", str(tmp_path / "tokenizer.json")]
    command += ["--classes", str(tmp_path / "classes.txt"), "--class-map", str(tmp_path / "map.csv")]
    assert invoke([*command, "--by", "critic", "--no-cache", "-o", str(tmp_path / "a.csv")]) == 0
    ids = [tokenizer.encode(text).ids[:length] for text in texts]
    called = {
        name: np.array([["neg", "pos"][network.scores(each).argmax()] for each in ids])
        for name, network in networks.items()
    }
    assert (called["dense_recall"] == labels).mean() > 0.7
    assert (called["dense_recall"] != called["pruned_recall"]).any()
    check_recalls(tmp_path / "a.csv", labels, called, "critic", critics)
