"""lm-eval's --log_samples: joined by task, filter and document, and refused where another thing was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prune_audit import audit, models, plugins
from prune_audit.cli import invoke
from prune_audit.core import Audit, ModelSource, Settings
from prune_audit.errors import AlignmentError, AuditError, ModelError, UsageError
from prune_audit.models import lm_eval
from tests.models.questions import row, written

RIGHT = [True, True, False, True, True, True, False, True]
WORSE = [True, False, False, True, False, True, True, True]


def rows(right: list[bool], **more: Any) -> list[dict[str, Any]]:
    return [row(number, each, **more) for number, each in enumerate(right)]


def compared(dense: Path, pruned: Path, settings: Settings | None = None) -> Audit:
    sources = [ModelSource(name=name, path=path) for name, path in (("dense", dense), ("pruned", pruned))]
    return audit.run(sources[0], sources[1:], None, settings or Settings())


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    return written(tmp_path / "dense", {"odd": rows(RIGHT), "mmlu_law": rows(RIGHT[::-1])})


@pytest.fixture
def pruned(tmp_path: Path) -> Path:
    return written(tmp_path / "pruned" / "org__model", {"odd": rows(WORSE), "mmlu_law": rows(RIGHT[::-1])}).parent


def test_tasks_are_classes_and_questions_what_is_counted(dense: Path, pruned: Path) -> None:
    done = compared(dense, pruned, Settings(by=("subject", "n", "task,subject")))
    pair = done.comparisons[0].view().pair
    assert pair.strata == ("mmlu_law", "odd")
    assert [getattr(pair, kind).tolist() for kind in ("both", "lost", "gained", "neither")] == [
        [6, 4], [0, 2], [0, 1], [2, 1],
    ]  # fmt: skip
    assert done.comparisons[0].view("subject").pair.lost.tolist() == [1, 1]
    assert pair.task.thing == ("question", "questions")
    lost = done.comparisons[0].flips[0]
    assert (lost.id, lost.asked, lost.label, lost.dense, lost.pruned, lost.went) == (
        "odd/1", "Is 1 odd?", "yes", "yes", "no", "lost",
    )  # fmt: skip
    told = {each.what: each.value for each in done.provenance.assumptions}
    assert told == {"class of a question": "its task", "right answer": "acc"}


def test_the_order_of_lines_says_nothing(dense: Path, pruned: Path, tmp_path: Path) -> None:
    turned = written(tmp_path / "turned", {"odd": rows(WORSE)[::-1], "mmlu_law": rows(RIGHT[::-1])[::-1]})
    pairs = [compared(dense, each).comparisons[0].view().pair for each in (pruned, turned)]
    assert pairs[0] == pairs[1]


def test_a_document_that_is_there_twice_is_two_questions_and_is_said_to_be_a_copy(tmp_path: Path) -> None:
    twice = [*rows(RIGHT), {**row(0, False), "doc_id": 8}]
    done = compared(written(tmp_path / "a", {"odd": twice}), written(tmp_path / "b", {"odd": twice}))
    assert done.provenance.samples == 9
    assert any("exact cop" in note for note in done.provenance.notes)


@pytest.mark.parametrize(
    ("key", "what"), [("doc_hash", "document"), ("target_hash", "right answer"), ("prompt_hash", "another prompt")]
)
def test_another_question_under_the_same_number_is_refused(dense: Path, tmp_path: Path, key: str, what: str) -> None:
    other = rows(RIGHT)
    other[3][key] = "0" * 64
    pruned = written(tmp_path / "other", {"odd": other, "mmlu_law": rows(RIGHT)})
    with pytest.raises(AlignmentError, match=what) as caught:
        compared(dense, pruned)
    assert "line 4" in caught.value.message


def test_hashes_that_one_run_lacks_are_not_asked(dense: Path, tmp_path: Path) -> None:
    bare = [{key: value for key, value in each.items() if not key.endswith("_hash")} for each in rows(WORSE)]
    done = compared(dense, written(tmp_path / "bare", {"odd": bare, "mmlu_law": rows(RIGHT)}))
    assert done.comparisons[0].flipped > 0


def test_missing_questions_are_refused_and_further_ones_said(dense: Path, tmp_path: Path) -> None:
    few = written(tmp_path / "few", {"odd": rows(WORSE)})
    with pytest.raises(AlignmentError, match="no answer to 8 of 16 questions, such as mmlu_law/0"):
        compared(dense, few)
    assert any("8 answers of pruned" in note for note in compared(few, dense).provenance.notes)


def test_of_several_runs_the_latest_is_taken_and_said(dense: Path, tmp_path: Path) -> None:
    pruned = written(tmp_path / "p", {"odd": rows([False] * 8), "mmlu_law": rows(RIGHT[::-1])}, "2026-01-01T00-00-00.1")
    written(pruned, {"odd": rows(RIGHT)}, "2026-02-01T00-00-00.1")
    done = compared(dense, pruned)
    assert done.comparisons[0].flipped == 0
    assert any("latest run is taken, such as samples_odd_2026-02-01" in note for note in done.provenance.notes)


def test_several_filters_ask_which_one_counts(tmp_path: Path) -> None:
    def both(strict: list[bool]) -> Path:
        lines = [
            *rows(strict, metric="exact_match", filter_="strict-match"),
            *rows(RIGHT, metric="exact_match", filter_="flexible-extract"),
        ]
        return written(tmp_path / f"{sum(strict)}", {"gsm8k": lines})

    dense, pruned = both([True] * 8), both([True] * 4 + [False] * 4)
    with pytest.raises(UsageError, match="by the filters flexible-extract, strict-match"):
        compared(dense, pruned)
    for metric, flipped in (("exact_match,strict-match", 4), ("exact_match,flexible-extract", 0)):
        assert compared(dense, pruned, Settings(metric=metric)).comparisons[0].flipped == flipped
    with pytest.raises(UsageError, match="no answers by the filter 'none'"):
        compared(dense, pruned, Settings(metric="exact_match,none"))


def test_a_metric_can_be_named_and_must_be_there(dense: Path, pruned: Path) -> None:
    with pytest.raises(UsageError, match="--metric acc_norm: mmlu_law was not judged by it, but by acc"):
        compared(dense, pruned, Settings(metric="acc_norm"))


@pytest.mark.parametrize("value", [0.5, [1, 2], "yes", None])
def test_a_metric_that_is_no_yes_or_no_is_refused(tmp_path: Path, value: object) -> None:
    odd = [{**each, "acc": value} for each in rows(RIGHT)]
    folder = written(tmp_path / "odd", {"f1": odd})
    with pytest.raises(ModelError, match="expected a metric that is 0 or 1"):
        compared(folder, folder)


def test_one_task_with_subjects_is_by_subject_unless_told_otherwise(tmp_path: Path) -> None:
    dense, pruned = (written(tmp_path / name, {"odd": rows(each)}) for name, each in (("d", RIGHT), ("p", WORSE)))
    done = compared(dense, pruned)
    assert done.comparisons[0].view().strata == ("few", "many")
    assert done.comparisons[0].view().pair.task.stratum == ("subject", "subjects")
    assert compared(dense, pruned, Settings(class_by="task")).comparisons[0].view().strata == ("odd",)
    with pytest.raises(UsageError, match="--class-by level"):
        compared(dense, pruned, Settings(class_by="level"))


def test_a_dense_model_that_is_never_right_stops_the_run(tmp_path: Path) -> None:
    folder = written(tmp_path / "wrong", {"odd": rows([False] * 8)})
    with pytest.raises(AlignmentError, match="right on none of 8 questions"):
        compared(folder, folder)


def test_folders_of_several_models_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        written(tmp_path / "logs" / name, {"odd": rows(RIGHT)})
    with pytest.raises(ModelError, match="several models: one, two"):
        models.load(ModelSource(name="m", path=tmp_path / "logs"), Settings())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"doc_id": 0, "filtered_resps": [], "acc": 1.0}\n{"doc_id": 1, "filt', "line 2: expected a JSON object"),
        ('{"doc_id": 0, "filtered_resps": [], "acc": 1.0}\n{"acc": 1.0}\n', "line 2: expected a row of lm-eval"),
        ('{"doc_id": 0, "filtered_resps": [], "acc": 1.0}\n' * 2, "a second answer to the question odd/0"),
        ("", "is empty"),
    ],
)
def test_damaged_files_are_told_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    folder = written(tmp_path / "logs", {"odd": []})
    next(folder.iterdir()).write_text(text)
    with pytest.raises(ModelError, match=said):
        compared(folder, folder)


def test_told_by_content_and_by_no_other_plugin(dense: Path, pruned: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert not lm_eval.recognises(tmp_path / "empty")
    one = next(dense.iterdir())
    for path in (dense, pruned, one):
        assert [name for name, module in plugins.loaded("models") if module.recognises(path)] == ["lm-eval"]


def test_the_older_form_of_requests_and_generated_answers(tmp_path: Path) -> None:
    def line(number: int, gave: str) -> dict[str, Any]:
        return {
            "doc_id": number, "doc": {"n": number}, "target": "4", "arguments": [["2 + 2 =", {"until": ["\n"]}]],
            "resps": [[gave]], "filtered_resps": [gave], "exact_match": float(gave == "4"),
        }  # fmt: skip

    dense = written(tmp_path / "d", {"sum": [line(n, "4") for n in range(4)]})
    pruned = written(tmp_path / "p", {"sum": [line(n, "4" if n else "5") for n in range(4)]})
    (flip,) = compared(dense, pruned).comparisons[0].flips
    assert (flip.asked, flip.label, flip.dense, flip.pruned) == ("2 + 2 =", "4", "4", "5")


def test_by_acc_norm_the_answer_is_that_of_the_best_score_for_its_length(tmp_path: Path) -> None:
    line = {
        **row(0, True), "acc_norm": 1.0, "acc": 0.0,
        "arguments": [["?", " yes"], ["?", " a long answer"]],
        "filtered_resps": [[-2.0, False], [-3.0, False]], "target": 1,
    }  # fmt: skip
    wrong = {**line, "acc_norm": 0.0, "filtered_resps": [[-0.1, False], [-3.0, False]]}
    more = [row(n, True, acc_norm=1.0) for n in (1, 2)]
    dense, pruned = (written(tmp_path / str(i), {"t": [each, *more]}) for i, each in enumerate((line, wrong)))
    (flip,) = compared(dense, pruned, Settings(metric="acc_norm")).comparisons[0].flips
    assert (flip.label, flip.dense, flip.pruned) == ("a long answer", "a long answer", "yes")


def test_the_sample_through_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder, out = "sample_models/questions", tmp_path / "audit.json"
    assert invoke(["compare", f"{folder}/dense", f"{folder}/pruned", "--gate", "-o", str(out)]) == 1
    told = capsys.readouterr().out
    assert "192 questions, 3 tasks" in told
    assert "sums" in told
    document = json.loads(out.read_text("utf-8"))
    assert document["comparisons"][0]["views"][0]["task"]["name"] == "language-models"
    assert invoke(["check", str(out)]) == 1
    with_page = tmp_path / "audit.html"
    assert invoke(["compare", f"{folder}/dense", f"{folder}/pruned", "-q", "-o", str(with_page)]) == 0
    assert "Questions that only one model gets right" in with_page.read_text("utf-8")


@pytest.mark.parametrize("further", [["--data", "sample_models/val"], ["--limit", "5"], ["--task", "classification"]])
def test_what_makes_no_sense_of_answers_is_refused(further: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    folder = "sample_models/questions"
    assert invoke(["compare", f"{folder}/dense", f"{folder}/pruned", *further]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_answers_take_no_factory() -> None:
    source = ModelSource(name="m", path=Path("sample_models/questions/dense"), factory="a:b")
    with pytest.raises(AuditError, match="need no factory"):
        models.load(source, Settings())


def test_charts_and_tables_call_classes_and_things_what_they_are(tmp_path: Path) -> None:
    folder, page = "sample_models/questions", tmp_path / "audit.html"
    assert invoke(["compare", f"{folder}/dense", f"{folder}/pruned", "-q", "-o", str(page), "--class-by", "even"]) == 0
    told = page.read_text("utf-8")
    assert "Accuracy of each even" in told
    assert "a model is right as often as on all questions" in told
    about = told.partition('<details id="guide-')[0]  # the guide speaks of images
    assert "samples that" not in about
    assert about != told
