"""The options that several commands share, and what they become: sources, settings, preprocessing.

Drops are points on the command line (``--margin 2``) and shares inside (.02).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from prune_audit.errors import UsageError

if TYPE_CHECKING:
    from prune_audit.core import Preprocess
    from prune_audit.evaluate.cache import Store

MODELS = "Models"
DATA, IMAGES, OTHER, STATISTICS = "Data", "Images", "Text, sound and tables", "Statistics"
GATE, OUTPUT, RUN = "Gate", "Output", "Run"

Dense = Annotated[str, typer.Argument(metavar="DENSE", help="The dense model: PATH, or NAME=PATH@module:factory(...).")]
Pruned = Annotated[list[str], typer.Argument(metavar="PRUNED...", help="Its pruned variants, written likewise.")]
Saved = Annotated[Path, typer.Argument(metavar="AUDIT", help="An audit.json that `compare -o audit.json` wrote.")]

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        "-d",
        help="A folder of images or sounds, a CSV or Parquet table, an .npz file, a Hugging Face data set.",
        rich_help_panel=DATA,
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(help="Class names in the order of the model's outputs, one a line.", rich_help_panel=DATA),
]
ClassMap = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Which class of the models a class of the data is (CSV or JSON), where they are called differently.",
        rich_help_panel=DATA,
    ),
]
DropClass = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|N", help="Leave out an output that stands for no class: a background.", rich_help_panel=DATA
    ),
]
PathColumn = Annotated[str | None, typer.Option(help="Column of a table with the paths.", rich_help_panel=DATA)]
LabelColumn = Annotated[str | None, typer.Option(help="Column of a table with the labels.", rich_help_panel=DATA)]
IdColumn = Annotated[
    str | None, typer.Option(help="Column of ids, in a table of data and in predictions.", rich_help_panel=DATA)
]
TextColumn = Annotated[str | None, typer.Option(help="Column of a table with the texts.", rich_help_panel=OTHER)]
Tokenizer = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="tokenizer.json that makes inputs of texts.", rich_help_panel=OTHER),
]
MaxLength = Annotated[
    int | None, typer.Option(metavar="N", help="Tokens that a model receives at most.", rich_help_panel=OTHER)
]
SampleRate = Annotated[
    int | None, typer.Option(metavar="HZ", help="What the model was trained at.", rich_help_panel=OTHER)
]
Seconds = Annotated[
    float | None,
    typer.Option(metavar="S", help="Length of sound that the model receives.", rich_help_panel=OTHER),
]
Features = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...", help="Numeric columns in the order in which the model takes them.", rich_help_panel=OTHER
    ),
]
SkipBad = Annotated[int, typer.Option(metavar="N", help="Allow N unreadable samples.", rich_help_panel=DATA)]
Limit = Annotated[
    int | None,
    typer.Option(metavar="N", help="Audit a stratified sample of N; never gates.", rich_help_panel=DATA),
]

Preset = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        metavar="NAME|FILE",
        help="imagenet, cifar10, mnist, none, or a JSON, TOML or preprocessor_config.json file.",
        rich_help_panel=IMAGES,
    ),
]
Size = Annotated[
    str | None,
    typer.Option(metavar="N|HxW", help="What the model receives; alone, an exact resize.", rich_help_panel=IMAGES),
]
Resize = Annotated[
    str | None, typer.Option(metavar="N|HxW", help="N is the shorter side, HxW exact.", rich_help_panel=IMAGES)
]
Crop = Annotated[str | None, typer.Option(metavar="N|HxW", help="Centre crop.", rich_help_panel=IMAGES)]
Mean = Annotated[
    str | None,
    typer.Option(metavar="M,...", help="Subtracted per channel, in units of [0, 1].", rich_help_panel=IMAGES),
]
Std = Annotated[str | None, typer.Option(metavar="S,...", help="Divided by, per channel.", rich_help_panel=IMAGES)]
Channels = Annotated[
    str | None,
    typer.Option(
        metavar="rgb|bgr|gray", help="Order of the colours that the model takes, or gray.", rich_help_panel=IMAGES
    ),
]
Resample = Annotated[
    str | None,
    typer.Option("--interpolation", metavar="NAME", help="bilinear (default), bicubic ...", rich_help_panel=IMAGES),
]

Exif = Annotated[
    str | None,
    typer.Option(
        "--exif",
        metavar="apply|ignore",
        help="Turn images as their EXIF orientation says, or not; by default as the format's own library does.",
        rich_help_panel=IMAGES,
    ),
]

Margin = Annotated[
    float,
    typer.Option(
        metavar="POINTS",
        envvar="PRUNE_AUDIT_MARGIN",
        show_envvar=False,
        help="A class that lost more has regressed.",
        rich_help_panel=STATISTICS,
    ),
]
Assure = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        envvar="PRUNE_AUDIT_ASSURE",
        show_envvar=False,
        help="A loss that 'fine' rules out: 5, or a wider margin.",
        rich_help_panel=STATISTICS,
    ),
]
RetentionMargin = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        envvar="PRUNE_AUDIT_RETENTION_MARGIN",
        show_envvar=False,
        help="A class that kept less of its recall than this share of what the rest kept is harmed.",
        rich_help_panel=STATISTICS,
    ),
]
TopK = Annotated[
    int,
    typer.Option(metavar="K", help="Also count the label among the K highest scores.", rich_help_panel=STATISTICS),
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="COLUMN",
        help="Audit the values of a column too; class,COLUMN crosses; repeats.",
        rich_help_panel=STATISTICS,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="What samples belong to where they are not independent: a person, a film.",
        rich_help_panel=STATISTICS,
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Share of each class in use (CSV class,weight or JSON): weighs accuracy, never recalls.",
        rich_help_panel=STATISTICS,
    ),
]
Reference = Annotated[
    str,
    typer.Option(
        metavar="accuracy|balanced",
        envvar="PRUNE_AUDIT_REFERENCE",
        show_envvar=False,
        help="What a class is compared with; balanced is the mean of recalls.",
        rich_help_panel=STATISTICS,
    ),
]
Confidence = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        envvar="PRUNE_AUDIT_CONFIDENCE",
        show_envvar=False,
        help="Confidence level of every interval.",
        rich_help_panel=STATISTICS,
    ),
]
Correct = Annotated[
    str,
    typer.Option(
        "--correction",
        metavar="NAME",
        envvar="PRUNE_AUDIT_CORRECTION",
        show_envvar=False,
        help="Over classes: fdr_bh, fdr_by, holm, bonferroni, none.",
        rich_help_panel=STATISTICS,
    ),
]

ExpectAccuracy = Annotated[
    float | None,
    typer.Option(
        metavar="PERCENT",
        envvar="PRUNE_AUDIT_EXPECT_ACCURACY",
        show_envvar=False,
        help="What the dense model is known to have: stop where these data exclude it.",
        rich_help_panel=MODELS,
    ),
]
ExpectTolerance = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        envvar="PRUNE_AUDIT_EXPECT_TOLERANCE",
        show_envvar=False,
        help="How far beyond the interval the expected accuracy may lie: 2.",
        rich_help_panel=MODELS,
    ),
]
NoPlausibility = Annotated[
    bool,
    typer.Option(
        "--no-plausibility",
        help="Do not try on a few hundred samples whether another usual preprocessing fits the dense model better.",
        rich_help_panel=MODELS,
    ),
]

Gate = Annotated[
    bool,
    typer.Option(
        "--gate",
        envvar="PRUNE_AUDIT_GATE",
        show_envvar=False,
        help="Judge by the project's policy, else the default one: exit 1 where a check fails.",
        rich_help_panel=GATE,
    ),
]

Outputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--output", "-o", help="Write a report; the suffix chooses the format; repeats.", rich_help_panel=OUTPUT
    ),
]
Dialect = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FORMAT=NAME",
        help="csv=excel: for a spreadsheet, which runs no name; sarif=whole: with what was waived or could not be "
        "told, not failures alone. Repeats.",
        rich_help_panel=OUTPUT,
    ),
]
Github = Annotated[
    bool,
    typer.Option("--github", help="Annotations for GitHub Actions, and the job's summary.", rich_help_panel=OUTPUT),
]
Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log", metavar="mlflow", help="Write numbers and reports to its active run; repeats.", rich_help_panel=OUTPUT
    ),
]
ShowAll = Annotated[bool, typer.Option("--all", help="Every class, however many.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No table and no progress.", rich_help_panel=OUTPUT)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="How the run went.", rich_help_panel=OUTPUT)]

Thumbnails = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        help="Keep small pictures of N flipped images a variant, for the HTML report.",
        rich_help_panel=OUTPUT,
    ),
]
Reproducible = Annotated[
    bool,
    typer.Option(
        "--reproducible",
        help="Leave out how the run went, so that equal runs write equal files.",
        rich_help_panel=OUTPUT,
    ),
]

Scores = Annotated[
    list[str] | None,
    typer.Option(
        "--scores",
        metavar="[NAME=]KIND",
        help="What outputs hold: logits, probabilities, log-probabilities, classes or classes-from-1; repeats.",
        rich_help_panel=MODELS,
    ),
]
ModelOutput = Annotated[
    list[str] | None,
    typer.Option(
        "--model-output",
        metavar="[NAME=]OUTPUT",
        help="Which output of a model holds the scores, by name or position; repeats.",
        rich_help_panel=MODELS,
    ),
]
StateKey = Annotated[
    list[str] | None,
    typer.Option(
        "--state-key",
        metavar="[NAME=]KEY",
        help="Which entry of a checkpoint holds the weights to use, such as state_dict_ema; repeats.",
        rich_help_panel=MODELS,
    ),
]

AllowPickle = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Let model files run code: only for files you trust.", rich_help_panel=RUN),
]
Seed = Annotated[int, typer.Option(help="Draws the sample of --limit.", rich_help_panel=RUN)]
BatchSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Samples that a model predicts at once. Without it the fastest size is found, and a model whose "
        "predictions depend on the batch runs one sample at a time.",
        rich_help_panel=RUN,
    ),
]
Workers = Annotated[int | None, typer.Option(metavar="N", help="Threads that decode.", rich_help_panel=RUN)]
Threads = Annotated[int | None, typer.Option(metavar="N", help="Threads of each model.", rich_help_panel=RUN)]
Device = Annotated[str, typer.Option(help="Where torch models run: cpu, cuda, cuda:1, mps.", rich_help_panel=RUN)]
Runtime = Annotated[
    str,
    typer.Option(
        metavar="own|onnxruntime",
        help="Run torch models in ONNX Runtime, once it is shown to predict the same.",
        rich_help_panel=RUN,
    ),
]
Isolate = Annotated[
    str,
    typer.Option(
        metavar="auto|never",
        envvar="PRUNE_AUDIT_ISOLATE",
        show_envvar=False,
        help="auto: run TorchScript, torch.export, ONNX and transformers in confined processes of their own; never: in "
        "the process of the audit (default).",
        rich_help_panel=RUN,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        envvar="PRUNE_AUDIT_MEMORY",
        show_envvar=False,
        help="Memory that each such process may take beside its libraries, such as 4GB; by default the machine's.",
        rich_help_panel=RUN,
    ),
]
SampleTimeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        envvar="PRUNE_AUDIT_SAMPLE_TIMEOUT",
        show_envvar=False,
        help="Time that a model in such a process may take for a sample.",
        rich_help_panel=RUN,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="PRUNE_AUDIT_CACHE",
        help="Where predictions are kept, so that none is made twice; by default the user's cache folder.",
        rich_help_panel=RUN,
    ),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Keep no predictions, and use none that were kept.", rich_help_panel=RUN)
]
VerifyData = Annotated[
    bool,
    typer.Option(
        "--verify-data",
        help="Tell whether data have changed by what all files hold, where sizes and times would do.",
        rich_help_panel=RUN,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="See on a few hundred samples whether all fits, and stop.", rich_help_panel=RUN),
]


def preprocess(
    preset: str | None,
    size: str | None,
    resize: str | None,
    crop: str | None,
    mean: str | None,
    std: str | None,
    channels: str | None,
    interpolation: str | None,
) -> Preprocess:
    """The preprocessing that was asked for: a preset or file, with single options laid over it."""
    from prune_audit import data
    from prune_audit.core import Channels, Interpolation, Preprocess

    shape = _pair("--resize", resize) if resize is not None else None
    explicit = Preprocess(
        size=_both("--size", size),
        resize=shape[0] if shape and len(shape) == 1 else (shape[0], shape[1]) if shape else None,
        crop=_both("--crop", crop),
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        channels=_choice("--channels", channels, get_args(Channels)),  # type: ignore[arg-type]  # checked by _choice
        interpolation=_choice("--interpolation", interpolation, get_args(Interpolation)),  # type: ignore[arg-type]
    )
    return data.preprocess(preset, explicit)


def columns(text: str | None) -> tuple[str, ...]:
    """The names in a list with commas; blanks around them do not count."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def store(cache: Path | None, *, off: bool, verify: bool) -> Store | None:
    """Where predictions are kept; None where none are to be.

    A folder that was asked for has to do. Where nobody asked, and a container's home may take no files, the run goes
    on without one, and says so.
    """
    if off:
        return None
    from prune_audit.cli import _terminal
    from prune_audit.evaluate.cache import Store, folder, refuses

    def tell(line: str) -> None:
        _terminal.note(f"note: {line}")

    if cache is None and (reason := refuses(folder())):
        tell(f"no predictions are kept, for {folder()} takes none: {reason}")
        return None
    return Store(cache if cache is not None else folder(), verify=verify, told=tell)


def exif(value: str | None) -> str | None:
    """Whether the orientation that images carry is applied."""
    from prune_audit.core import Exif

    return _choice("--exif", value, get_args(Exif))


def runtime(value: str) -> str:
    """The name of what runs torch models."""
    from prune_audit.core import Runtime

    return _choice("--runtime", value, get_args(Runtime)) or value


def isolation(isolate: str, memory: str | None, sample_timeout: float) -> dict[str, Any]:
    """How models run that are programs, as fields of `prune_audit.core.Settings`."""
    from prune_audit.core import Isolate

    return {
        "isolate": _choice("--isolate", isolate, get_args(Isolate)),
        "memory": None if memory is None else _size("--memory", memory),
        "sample_timeout": sample_timeout,
    }


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def _size(option: str, text: str) -> int:
    """A number of bytes, such as 4GB or 512MiB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower())
    if found is None or found[2] not in _UNITS or not (size := int(float(found[1]) * _UNITS[found[2]])):
        raise UsageError(f"{option}: expected a size, found {text!r}", hint=f"for example {option} 4GB or 512MiB")
    return size


def expected(percent: float | None, tolerance: float | None) -> dict[str, Any]:
    """The accuracy that the dense model is to have, as fields of `prune_audit.core.Settings`."""
    found: dict[str, Any] = {}
    if percent is not None:
        if not 0 <= percent <= 100 or 0 < percent <= 1:
            raise UsageError(
                f"--expect-accuracy: expected percent from 0 to 100, found {percent:g}", hint="92.8 means 92.8 %"
            )
        found["expect_accuracy"] = percent / 100
    if tolerance is not None:
        found["expect_tolerance"] = points("--expect-tolerance", tolerance)
    return found


def points(option: str, value: float) -> float:
    """A drop given in points, as a share."""
    if not 0 <= value < 100:
        raise UsageError(f"{option}: expected points from 0 to 100, found {value:g}", hint="2 means two points")
    if 0 < value < 0.1:
        raise UsageError(
            f"{option} {value:g} is {value:g} points, a {value / 100:.2%} share",
            hint=f"points, not shares: for {value * 100:g} points write {option} {value * 100:g}",
        )
    return value / 100


def _choice(option: str, value: str | None, known: tuple[str, ...]) -> str | None:
    if value is not None and value not in known:
        raise UsageError(f"{option}: expected one of {', '.join(known)}, found {value!r}", hint="see --help")
    return value


def correction(option: str, value: str) -> str:
    """The name of a correction over classes."""
    from prune_audit.core import Correction

    return _choice(option, value, get_args(Correction)) or value


def reference(option: str, value: str) -> str:
    """The name of what a class is compared with."""
    from prune_audit.core import Reference

    return _choice(option, value, get_args(Reference)) or value


def dialects(values: list[str] | None) -> dict[str, str]:
    """Format -> the way in which its files are to be written, of ``FORMAT=NAME``."""
    from prune_audit import reports

    known, chosen = reports.dialects(), {}
    for value in values or ():
        form, _, name = value.partition("=")
        if name not in known.get(form, ()):
            listed = ", ".join(f"{form}={name}" for form, names in known.items() for name in names)
            raise UsageError(f"--dialect: expected one of {listed}, found {value!r}", hint="see --help")
        chosen[form] = name
    return chosen


def log(names: list[str] | None, *, one: bool = True) -> tuple[str, ...]:
    """The services to write to, which are there; ``one`` says that there is one audit to write."""
    from prune_audit import logs

    if names and not one:
        raise UsageError(
            "--log writes one audit into a run, and --confirm makes two",
            hint="write them with -o audit.json, then: prune-audit check audit.confirm.json --log mlflow",
        )
    logs.check(names or ())
    return tuple(dict.fromkeys(names or ()))


def views(values: list[str] | None) -> tuple[str, ...]:
    """Stratifications as `prune_audit.core.Settings.by` has them: blanks around columns do not count."""
    return tuple(",".join(column.strip() for column in value.split(",")) for value in values or ())


def _pair(option: str, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 2) or min(numbers) < 1:
        raise UsageError(f"{option}: expected N or HxW, found {text!r}", hint=f"for example {option} 224 or 224x192")
    return numbers


def _both(option: str, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    numbers = _pair(option, text)
    return numbers[0], numbers[-1]


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise UsageError(
            f"{option}: expected numbers, found {text!r}", hint=f"for example {option} 0.485,0.456,0.406"
        ) from None
