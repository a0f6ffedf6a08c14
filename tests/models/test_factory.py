import ast
import colorsys
import hashlib
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from prune_audit.core import ModelSource
from prune_audit.errors import ModelError, UsageError
from prune_audit.models import _factory
from prune_audit.models._factory import build, refuse_factory, watched
from tests.conftest import ROOT

MODULE = "nets_of_test_factory"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Writes the module `MODULE` to a folder of its own and goes there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != ""])

    def _write(code: str) -> None:
        (tmp_path / f"{MODULE}.py").write_text(code)

    yield _write
    sys.modules.pop(MODULE, None)


def test_calls_a_function_or_a_class_with_literal_arguments() -> None:
    assert isinstance(build("torch.nn:Identity"), torch.nn.Identity)
    assert isinstance(build("torch.nn:Identity()"), torch.nn.Identity)
    linear = build("torch.nn:Linear(3, out_features=2, bias=False)")
    assert isinstance(linear, torch.nn.Linear)
    assert (linear.in_features, linear.out_features) == (3, 2)
    assert "bias" not in linear.state_dict()
    pooled = build("torch.nn:AdaptiveAvgPool2d((-1, 2))")
    assert isinstance(pooled, torch.nn.AdaptiveAvgPool2d)
    assert pooled.output_size == (-1, 2)


def test_looks_in_the_working_directory_and_leaves_the_path_as_it_was(write: Callable[[str], None]) -> None:
    write("import torch\nclass Nets:\n    @classmethod\n    def tiny(cls): return torch.nn.Linear(4, 1)\n")
    before = list(sys.path)
    assert isinstance(build(f"{MODULE}:Nets.tiny"), torch.nn.Linear)
    assert sys.path == before


def test_restores_the_path_when_the_factory_fails(write: Callable[[str], None]) -> None:
    write("def broken(): raise ValueError('no such depth\\nmore')")
    before = list(sys.path)
    with pytest.raises(ModelError, match=r"(?m)raised ValueError: no such depth$"):
        build(f"{MODULE}:broken")
    assert sys.path == before


def test_keeps_a_working_directory_that_was_there_before(
    write: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("import torch\ndef tiny(): return torch.nn.Identity()")
    monkeypatch.syspath_prepend(str(tmp_path))
    build(f"{MODULE}:tiny")
    assert str(tmp_path) in sys.path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "torch.nn",
        "torch.nn:",
        ":Linear",
        "torch nn:Linear",
        "torch.nn:Linear(",
        "torch.nn:Linear(3)(4)",
        "torch.nn:[Linear][0]",
        "torch.nn:Linear(**{'in_features': 3})",
        "torch.nn:Linear(*[3, 4])",
        "torch.nn:Linear(open)",
        "torch.nn:Linear(__import__('os').getpid(), 2)",
        "torch.nn:Linear(1 + 2, 3)",
    ],
)
def test_refuses_what_is_no_factory_or_no_literal(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(text)
    assert "package.module:name" in caught.value.hint


def test_evaluates_no_argument(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(UsageError, match="not a literal"):
        build(f"torch.nn:Linear(open({str(marker)!r}, 'w').close(), 2)")
    assert not marker.exists()


def test_names_a_missing_module_and_near_names() -> None:
    with pytest.raises(UsageError, match="no module no_such_package"):
        build("no_such_package.nets:tiny")
    with pytest.raises(UsageError, match=r"torch\.nn has no Linaer") as caught:
        build("torch.nn:Linaer(3, 4)")
    assert caught.value.hint.startswith("did you mean 'Linear'? it has Linear, ")
    with pytest.raises(UsageError, match=r"there is no module torch\.nnn") as caught:
        build("torch.nnn:Linear(3, 4)")
    assert caught.value.hint.startswith("did you mean 'torch.nn'? it is looked for")


def test_a_module_of_the_working_directory_may_be_meant(write: Callable[[str], None]) -> None:
    write("def small(): pass\n")
    with pytest.raises(UsageError, match="there is no module") as caught:
        build(f"{MODULE[:-1]}:small")
    assert caught.value.hint.startswith(f"did you mean {MODULE!r}? ")


def test_offers_functions_and_classes_and_no_modules(write: Callable[[str], None]) -> None:
    write(
        "import torch\nfrom torch import nn\nfrom torch.nn import Linear, Conv2d\nWIDTH = 3\nnet = Linear(1, 1)\n"
        "def small(): return Linear(1, 1)\nclass Tiny:\n    @classmethod\n    def make(cls): return Linear(1, 1)\n"
    )
    with pytest.raises(UsageError, match=f"{MODULE} has no nofn") as caught:
        build(f"{MODULE}:nofn")
    assert caught.value.hint == "it has Tiny, small, Conv2d, Linear"
    with pytest.raises(UsageError) as caught:
        build(f"{MODULE}:conv2d")
    assert caught.value.hint == "did you mean 'Conv2d'? it has Conv2d, Tiny, small, Linear"
    with pytest.raises(UsageError) as caught:
        build(f"{MODULE}:Tiny.mak")
    assert caught.value.hint.startswith("did you mean 'make'? it has make")


def test_imports_nothing_to_make_its_hint(write: Callable[[str], None]) -> None:
    write(
        "def small(): pass\ndef __dir__(): return ['heavy', 'small']\n"
        "def __getattr__(name):\n    raise RuntimeError if name == 'heavy' else AttributeError(name)\n"
    )
    with pytest.raises(UsageError) as caught:
        build(f"{MODULE}:nofn")
    assert caught.value.hint == "it has small"


def test_tells_a_missing_dependency_from_a_missing_module(write: Callable[[str], None]) -> None:
    write("import no_such_dependency")
    with pytest.raises(ModelError, match=rf"{MODULE} could not be imported: .*no_such_dependency"):
        build(f"{MODULE}:tiny")


def test_reports_a_module_that_fails_to_import(write: Callable[[str], None]) -> None:
    write("1 / 0")
    with pytest.raises(ModelError, match="ZeroDivisionError: division by zero"):
        build(f"{MODULE}:tiny")


def test_wants_a_callable_that_returns_a_network() -> None:
    with pytest.raises(UsageError, match="expected a function or a class, found str"):
        build("torch:__version__.__doc__")
    with pytest.raises(ModelError, match=r"expected a torch\.nn\.Module, found OrderedDict"):
        build("collections:OrderedDict")


def test_refuses_a_factory_where_none_is_needed() -> None:
    refuse_factory(ModelSource(name="a", path=Path("a.onnx")))
    with pytest.raises(UsageError, match=r"a\.onnx holds its own network"):
        refuse_factory(ModelSource(name="a", path=Path("a.onnx"), factory="nets:tiny"))


def test_what_the_factory_reads_is_told(write: Callable[[str], None], tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text("[4]")
    (tmp_path / "names.txt").write_text("a")
    write(
        "import json\nfrom pathlib import Path\nimport torch\n"
        "NAMES = Path('names.txt').read_text()\n"
        "def tiny(): return torch.nn.Linear(*json.loads(Path('net.json').read_text()), 1)\n"
    )
    built, read = watched(f"{MODULE}:tiny")
    assert isinstance(built, torch.nn.Linear)
    assert read is not None
    for name in ("net.json", "names.txt", f"{MODULE}.py"):
        assert (name, hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()) in read


def test_no_file_here_stands_in_for_a_library_or_a_module_of_pythons(
    write: Callable[[str], None], tmp_path: Path
) -> None:
    for name in ("random", "rich", "tabnanny", "torch", "sklearn"):
        (tmp_path / f"{name}.py").write_text(f"open('marker-{name}', 'w').close()\n")
    # Without us they run: Python puts the folder of a program first.
    (tmp_path / "program.py").write_text("import tabnanny, sklearn, random\n")
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, check=True)
    assert {path.name for path in tmp_path.glob("marker-*")} == {"marker-tabnanny", "marker-sklearn", "marker-random"}
    for path in tmp_path.glob("marker-*"):
        path.unlink()
    before = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == "tabnanny"}
    write("import random, rich, tabnanny, torch, sklearn\ndef tiny(): return torch.nn.Linear(4, 1)\n")
    try:
        assert isinstance(build(f"{MODULE}:tiny"), torch.nn.Linear)
    finally:
        sys.modules.update(before)
    assert not list(tmp_path.glob("marker-*"))


def test_no_library_of_ours_is_taken_from_here_afterwards(
    write: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not installed is the factory's own to import; ours is asked for anew."""
    library = "library_of_test_factory"
    monkeypatch.setattr(_factory, "LIBRARIES", frozenset({library}))
    (tmp_path / library).mkdir()
    (tmp_path / library / "__init__.py").write_text("from . import part\n")
    (tmp_path / library / "part.py").write_text("")
    write(f"import torch, {library}\ndef tiny(): return torch.nn.Linear(len([{library}.part]), 1)\n")
    assert isinstance(build(f"{MODULE}:tiny"), torch.nn.Linear)
    assert not [name for name in sys.modules if name.startswith(library)]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(library)


def test_a_library_that_is_developed_here_stays(
    write: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = "developed_of_test_factory"
    monkeypatch.setattr(_factory, "LIBRARIES", frozenset({library}))
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / f"{library}.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    write(f"import torch, {library}\ndef tiny(): return torch.nn.Linear(4, 1)\n")
    build(f"{MODULE}:tiny")
    assert library in sys.modules
    del sys.modules[library]


def test_every_library_that_is_imported_is_known_as_one() -> None:
    found = set()
    for path in (ROOT / "prune_audit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                found.add(node.module.partition(".")[0])
    assert found - sys.stdlib_module_names - {"prune_audit", "_typeshed"} == _factory.LIBRARIES


def test_a_module_that_is_there_twice_is_said(write: Callable[[str], None], tmp_path: Path) -> None:
    """What is installed counts, and whoever meant the file here is told."""
    (tmp_path / "colorsys.py").write_text("import torch\ndef tiny(): return torch.nn.Linear(4, 1)\n")
    installed, here = colorsys.__file__, tmp_path / "colorsys.py"
    write("")
    with pytest.raises(UsageError, match="colorsys has no tiny") as caught:
        build("colorsys:tiny")
    assert f"imported from {installed}, for what is installed goes before {here}" in caught.value.message
    assert f"{tmp_path.name}.colorsys in {tmp_path.parent}" in caught.value.hint
    for text in ("colorsys:ONE_THIRD", "colorsys:rgb_to_hsv", "colorsys:rgb_to_hsv(0, 0, 0)", "colorsys.nets:tiny"):
        with pytest.raises((UsageError, ModelError)) as caught_too:
            build(text)
        assert str(installed) in caught_too.value.message
        assert str(here) in caught_too.value.message + caught_too.value.hint
    assumption = _factory.assumed(ModelSource(name="a", path=Path("a.pth"), factory="colorsys:tiny"))[0]
    assert (assumption.subject, assumption.what, assumption.value) == ("a", "module colorsys", installed)
    assert str(here) in assumption.why
    assert not _factory.assumed(ModelSource(name="a", path=Path("a.pth"), factory=f"{MODULE}:tiny"))
    assert not _factory.assumed(ModelSource(name="a", path=Path("a.pth")))
