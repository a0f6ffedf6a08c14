"""prune-audit guide: topics, sections, and what is not there."""

from __future__ import annotations

import pytest

from prune_audit.render import guide
from tests.cli._run import here


def test_without_a_topic_it_lists_them() -> None:
    done = here(["guide"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "How to read an audit" in done.stdout
    for each in guide.sections():
        assert each.level > 2 or f"  {each.anchor} " in done.stdout
    assert "and of columns: counts, recall, " in done.stdout


def test_a_topic_prints_its_section_for_a_terminal() -> None:
    done = here(["guide", "cannot-tell"], environment={"COLUMNS": "80", "NO_COLOR": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Cannot tell, and what to do about it\n")
    assert "means that the samples allow both" in " ".join(done.stdout.split())
    assert "](" not in done.stdout
    assert "**" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "A pass is not clearance" not in done.stdout


def test_what_commands_print_is_not_broken_where_there_is_room() -> None:
    done = here(["guide", "one-audit"], environment={"COLUMNS": "120", "NO_COLOR": "1"})
    row = "8     104   81.7 ━━━━━━━┄┄┄┄     51.9  -29.8 -39.2 to -21.9   31      0 regressed   yes: intensified"
    assert row in done.stdout


def test_the_whole_guide() -> None:
    done = here(["guide", "all"])
    assert done.returncode == 0
    assert all(each.title in done.stdout for each in guide.sections())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chrun"], "did you mean churn?"),
        (["distorsion"], "did you mean distortion?"),
        (["canot-tell"], "did you mean cannot-tell-and-what-to-do-about-it?"),
        (["regressed"], "no section is called that; of 'regressed' these speak: one-audit-read-aloud, "),
        (["regresed"], "of 'regressed' these speak: "),
        (["held-better"], "of 'held better' these speak: "),
        (["zzz"], "`prune-audit guide` lists the topics"),
    ],
)
def test_what_is_no_topic_is_2_and_says_what_is_near(arguments: list[str], told: str) -> None:
    done = here(["guide", *arguments])
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
