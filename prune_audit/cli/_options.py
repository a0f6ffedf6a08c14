"""The options that several commands share, in groups (`prune_audit.options`), and what they become: sources, settings.

Drops are points on the command line (``--margin 2``) and shares inside (.02).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from prune_audit.choices import (
    Channels,
    Exif,
    Interpolation,
    Isolate,
    OperatingPoint,
    Overlap,
    Progress,
    Runtime,
    Scheme,
)
from prune_audit.cli import _completion as complete
from prune_audit.errors import UsageError
from prune_audit.options import OfPlugins, chosen

if TYPE_CHECKING:
    from prune_audit.core import DataSource, Preprocess, Settings, Shard
    from prune_audit.evaluate.cache import Store
    from prune_audit.evaluate.pin import Pins

STANDARD_OUTPUT = Path("-")
MODELS, DATA, OUTPUT, RUN = "Models", "Data", "Output", "Run"

Dense = Annotated[str, typer.Argument(metavar="DENSE", help="The dense model: PATH, or NAME=PATH@module:factory(...).")]
Pruned = Annotated[
    list[str], typer.Argument(metavar="PRUNED...", help="Pruned variants of it, written in the same way.")
]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model: PATH, or NAME=PATH@module:factory(...).")]
Saved = Annotated[Path, typer.Argument(metavar="AUDIT", help="An audit.json that `compare -o audit.json` wrote.")]

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        "-d",
        help="Labelled data: a folder of images or sounds, a CSV or Parquet table, an .npz file, or a Hugging Face "
        "data set.",
        rich_help_panel=DATA,
    ),
]
DataIfAny = Annotated[
    Path | None,
    typer.Option(
        "--data",
        "-d",
        help="Labelled data: a folder of images or sounds, a CSV or Parquet table, an .npz file, or a Hugging Face "
        "data set; not needed where the answers of the models say also what was asked.",
        rich_help_panel=DATA,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no table and no progress.", rich_help_panel=OUTPUT)]
Watched = Annotated[
    Progress,
    typer.Option(
        "--progress",
        metavar="auto|never|plain",
        help="auto: bars where standard error is a terminal (default); never: none; plain: a line at every 10 %, for "
        "the logs of jobs.",
        rich_help_panel=OUTPUT,
    ),
]
AllowPickle = Annotated[
    bool,
    typer.Option(
        "--allow-pickle", help="Let model files run code; only for files that you trust.", rich_help_panel=RUN
    ),
]
Dialect = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FORMAT=NAME",
        help="csv=excel: for a spreadsheet, which runs no name; sarif=whole: with what was waived or could not be "
        "told, not failures alone. Repeats.",
    ),
]
Spreadsheet = Annotated[
    list[str] | None,
    typer.Option(
        "--dialect",
        metavar="FORMAT=NAME",
        help="csv=excel: for a spreadsheet, which runs no name.",
        rich_help_panel=OUTPUT,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="PRUNE_AUDIT_CACHE",
        help="Folder of the predictions that are kept, so that none is made twice; by default the user's cache folder.",
        rich_help_panel=RUN,
    ),
]
Part = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Run the I-th of N parts, on this machine.", rich_help_panel=RUN),
]
SameData = Annotated[
    bool,
    typer.Option(
        "--same-data", help="Let --data and --audit be the same samples, though these then judge what they taught."
    ),
]


# ---------------------------------------------------------------------------------------------------------------- data


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Where labels are, and what they mean."""

    PANEL: ClassVar[str] = DATA

    classes: Annotated[
        Path | None, typer.Option(help="File of class names, one a line, in the order of the model's outputs.")
    ] = None
    class_map: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File (CSV or JSON) that says which class of the models each class of the data is, where names "
            "differ.",
        ),
    ] = None
    path_column: Annotated[
        str | None, typer.Option(help="Column of a table that holds the paths of images or sounds.")
    ] = None
    label_column: Annotated[str | None, typer.Option(help="Column of a table that holds the labels.")] = None
    label_separator: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Text that separates several labels of one sample in the label column, such as ;."
        ),
    ] = None
    label_columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...|*",
            help="Columns of a table that say of one label each whether a sample has it: 1, 0, or -1 or nothing where "
            "that is unknown; * for all columns of such cells.",
        ),
    ] = None
    id_column: Annotated[
        str | None, typer.Option(help="Column that holds the ids of samples, in a table of data and in predictions.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """How an image becomes the model's input."""

    PANEL: ClassVar[str] = "Images"

    folder: Annotated[
        Path | None,
        typer.Option(
            "--images",
            metavar="FOLDER",
            help="Folder of the images whose boxes are labelled: boxes that flipped are drawn in them.",
        ),
    ] = None
    preset: Annotated[
        str | None,
        typer.Option(
            "--preprocess",
            metavar="NAME|FILE",
            help="A preset (imagenet, cifar10, mnist, none), or a JSON, TOML or preprocessor_config.json file.",
            autocompletion=complete.preprocessing,
        ),
    ] = None
    size: Annotated[
        str | None,
        typer.Option(
            metavar="N|HxW", help="Size that the model receives; given alone, images are resized to exactly this."
        ),
    ] = None
    resize: Annotated[
        str | None,
        typer.Option(metavar="N|HxW", help="Size to resize to first: N is the shorter side, HxW is exact."),
    ] = None
    crop: Annotated[str | None, typer.Option(metavar="N|HxW", help="Size of the crop from the centre.")] = None
    mean: Annotated[
        str | None,
        typer.Option(metavar="M,...", help="What is subtracted from each channel, in units of [0, 1]."),
    ] = None
    std: Annotated[
        str | None, typer.Option(metavar="S,...", help="What each channel is then divided by, in units of [0, 1].")
    ] = None
    channels: Annotated[
        Channels | None,
        typer.Option(metavar="rgb|bgr|gray", help="Order of the colours that the model takes, or gray."),
    ] = None
    interpolation: Annotated[
        Interpolation | None,
        typer.Option(
            metavar="NAME",
            help="How images are resized: nearest, bilinear (default), bicubic, lanczos, box or hamming.",
        ),
    ] = None
    exif: Annotated[
        Exif | None,
        typer.Option(
            metavar="apply|ignore",
            help="Turn images as their EXIF orientation says, or not; by default as the format's own library does.",
        ),
    ] = None

    def preprocess(self) -> Preprocess:
        """The preprocessing that was asked for: a preset or file, with single options laid over it."""
        from prune_audit import data
        from prune_audit.core import Preprocess

        shape = _pair("--resize", self.resize) if self.resize is not None else None
        explicit = Preprocess(
            size=_both("--size", self.size),
            resize=shape[0] if shape and len(shape) == 1 else (shape[0], shape[1]) if shape else None,
            crop=_both("--crop", self.crop),
            mean=_numbers("--mean", self.mean),
            std=_numbers("--std", self.std),
            channels=self.channels,
            interpolation=self.interpolation,
        )
        return data.preprocess(self.preset, explicit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """How what is no image becomes the model's input."""

    PANEL: ClassVar[str] = "Text, sound and tables"

    text_column: Annotated[str | None, typer.Option(help="Column of a table that holds the texts.")] = None
    tokenizer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The tokenizer.json that makes inputs of texts.")
    ] = None
    max_length: Annotated[
        int | None, typer.Option(metavar="N", help="Maximum number of tokens of a text that the model receives.")
    ] = None
    sample_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Sample rate of the sounds that the model was trained on.")
    ] = None
    seconds: Annotated[
        float | None, typer.Option(metavar="S", help="Length of sound that the model receives, in seconds.")
    ] = None
    features: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Numeric columns of a table, in the order in which the model takes them."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How labelled data are read."""

    labels: Labels
    images: Images
    other: Other

    def source_if_any(self, path: Path | None) -> DataSource | None:
        """The data at ``path``, read so, where there is one."""
        return None if path is None else self.source(path)

    def source(self, path: Path) -> DataSource:
        """The data at ``path``, read so."""
        from prune_audit.core import DataSource

        return DataSource(
            path=path,
            classes=self.labels.classes,
            class_map=self.labels.class_map,
            path_column=self.labels.path_column,
            label_column=self.labels.label_column,
            label_separator=self.labels.label_separator,
            label_columns=columns(self.labels.label_columns),
            id_column=self.labels.id_column,
            text_column=self.other.text_column,
            features=columns(self.other.features),
            tokenizer=self.other.tokenizer,
            max_length=self.other.max_length,
            sample_rate=self.other.sample_rate,
            seconds=self.other.seconds,
            exif=self.images.exif,
            images=self.images.folder,
            preprocess=self.images.preprocess(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """What networks learnt from, and what they are judged on."""

    PANEL: ClassVar[str] = DATA

    data: Annotated[
        Path,
        typer.Option(
            "--data", "-d", help="Labelled data that the networks were trained on: all is computed and fitted here."
        ),
    ]
    audit: Annotated[Path, typer.Option(help="Other labelled data, of the same kind: networks are judged on these.")]
    same_data: SameData = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Which samples, and which of the classes."""

    PANEL: ClassVar[str] = DATA

    drop_class: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|N",
            help="Leave out an output that stands for no class, such as a background; by name or position; repeats.",
        ),
    ] = None
    skip_bad: Annotated[int, typer.Option(metavar="N", help="Allow N unreadable samples.")] = 0
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Audit a stratified sample of N samples; such an audit never gates. With --until-settled: run N "
            "samples at most.",
        ),
    ] = None


# ---------------------------------------------------------------------------------------------------------------- task


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """What is counted, where that is not one label a sample."""

    PANEL: ClassVar[str] = "Task"

    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What is counted as right or wrong; by default told by the data or by the models. `prune-audit list "
            "tasks` names what there is.",
            autocompletion=complete.plugin("tasks"),
        ),
    ] = None
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,FILTER]",
            help="Metric of recorded answers by which one is right, such as acc, acc_norm or exact_match,strict-match.",
        ),
    ] = None

    class_by: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="What is a class of recorded questions: task, or a key of their documents, such as subject. By "
            "default the task; the subject where all are of one task.",
        ),
    ] = None

    operating_point: Annotated[
        OperatingPoint,
        typer.Option(
            help="Where models that find things are compared: at as many false detections, at equal precision, at one "
            "fixed score, or with all that was recorded."
        ),
    ] = "false-detections"
    score: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Score from which on the dense model finds something; by default one is chosen for all models alike.",
        ),
    ] = None
    iou: Annotated[
        float,
        typer.Option(
            "--iou",
            min=0.05,
            max=1,
            help="Overlap, as intersection over union, at which a detection finds a labelled box.",
        ),
    ] = 0.5
    overlap: Annotated[
        Overlap,
        typer.Option(
            help="Whether boxes are compared with boxes, or masks of pixels with masks (COCO's segmentation)."
        ),
    ] = "boxes"
    max_detections: Annotated[
        int,
        typer.Option(min=1, help="Most detections of each class in an image; those with the highest scores count."),
    ] = 100
    scheme: Annotated[
        Scheme,
        typer.Option(
            help="How tags of words are read as entities: leniently, as seqeval reads any of the usual schemes, or by "
            "one of these alone, in which what is not whole is no entity."
        ),
    ] = "any"

    def settings(self) -> dict[str, Any]:
        """As fields of `prune_audit.core.Settings`."""
        return {
            "task": self.task,
            "metric": self.metric,
            "class_by": self.class_by,
            "operating_point": self.operating_point,
            "score": self.score,
            "iou": self.iou,
            "overlap": self.overlap,
            "max_detections": self.max_detections,
            "scheme": self.scheme,
        }


# -------------------------------------------------------------------------------------------------------------- models


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What of a model's file is used."""

    PANEL: ClassVar[str] = MODELS

    model_output: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]OUTPUT",
            help="Which output of a model holds the scores, by name or position; repeats.",
        ),
    ] = None
    state_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]KEY",
            help="Which entry of a checkpoint holds the weights to use, such as state_dict_ema; repeats.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What models put out."""

    PANEL: ClassVar[str] = MODELS

    scores: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]KIND",
            help="What the outputs of a model hold: logits, probabilities, log-probabilities, classes or "
            "classes-from-1; repeats.",
        ),
    ] = None
    parts: Parts


# ----------------------------------------------------------------------------------------------------------------- run


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How models run that are programs."""

    PANEL: ClassVar[str] = RUN

    isolate: Annotated[
        Isolate,
        typer.Option(
            metavar="auto|never",
            envvar="PRUNE_AUDIT_ISOLATE",
            show_envvar=False,
            help="auto: run TorchScript, torch.export, ONNX and transformers in confined processes of their own "
            "(default); never: in the process of the audit.",
        ),
    ] = "auto"
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            envvar="PRUNE_AUDIT_MEMORY",
            show_envvar=False,
            help="Memory that each confined process may take beside its libraries, such as 4GB; by default the "
            "machine's.",
        ),
    ] = None
    sample_timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            envvar="PRUNE_AUDIT_SAMPLE_TIMEOUT",
            show_envvar=False,
            help="Time that a model in a confined process may take for a sample.",
        ),
    ] = 60

    def settings(self) -> dict[str, Any]:
        """As fields of `prune_audit.core.Settings`."""
        return {
            "isolate": self.isolate,
            "memory": None if self.memory is None else _size("--memory", self.memory),
            "sample_timeout": self.sample_timeout,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What networks run on."""

    PANEL: ClassVar[str] = RUN

    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of threads of each model. Without it the processor's cores are shared out among the models.",
        ),
    ] = None
    device: Annotated[str, typer.Option(help="Where torch models run: cpu, cuda, cuda:1, mps.")] = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What gives out the work."""

    PANEL: ClassVar[str] = RUN

    runner: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Where models run over data, and a study does its runs; `prune-audit list runners` names what is "
            "installed.",
            autocompletion=complete.plugin("runners"),
        ),
    ] = "threads"
    of_runners: Annotated[Mapping[str, Any], OfPlugins("runners")]

    def settings(self) -> dict[str, Any]:
        """The fields of `Settings` that these options are."""
        return {"runner": self.runner, "of_runner": chosen(self.of_runners, self.runner)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How models run over data."""

    PANEL: ClassVar[str] = RUN

    allow_pickle: AllowPickle = False
    seed: Annotated[int, typer.Option(help="Random seed of the sample that --limit draws.")] = 0
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of samples that a model predicts at once. Without it the fastest size is found, and a model "
            "whose predictions depend on the batch runs one sample at a time.",
        ),
    ] = None
    workers: Annotated[int | None, typer.Option(metavar="N", help="Number of threads that decode samples.")] = None
    engine: Engine
    machine: Machine
    runtime: Annotated[
        Runtime,
        typer.Option(
            metavar="auto|own|onnxruntime",
            help="What runs torch models: torch (own), or ONNX Runtime once it is shown to predict the same; with auto "
            "where the run is long enough to pay for an export, and what is close is left to torch.",
        ),
    ] = "auto"
    isolation: Isolation


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching:
    """Where predictions are kept."""

    PANEL: ClassVar[str] = RUN

    cache: Cache = None
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no predictions, and use none that were kept.")] = (
        False
    )
    keep_inputs: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Keep decoded images beside the predictions, of all data at most so much (such as 2GB), so that the "
            "next audit of the same data decodes none. By default none are kept.",
        ),
    ] = None

    def store(self, *, verify: bool = False) -> Store | None:
        """Where predictions are kept; None where none are to be.

        A folder that was asked for has to do. Where nobody asked, and a container's home may take no files, the run
        goes on without one, and says so.
        """
        images = 0 if self.keep_inputs is None else _size("--keep-inputs", self.keep_inputs)
        if self.no_cache:
            if images:
                raise UsageError("--keep-inputs: nothing is kept with --no-cache", hint="leave one of them out")
            return None
        from prune_audit.cli import _terminal
        from prune_audit.evaluate.cache import Store, folder, refuses

        def tell(line: str) -> None:
            _terminal.note(f"note: {line}")

        if self.cache is None and (reason := refuses(folder())):
            tell(f"no predictions are kept, for {folder()} takes none: {reason}")
            return None
        return Store(self.cache if self.cache is not None else folder(), verify=verify, images=images, told=tell)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachingOfData:
    """What is kept of predictions, and how changed data are noticed."""

    PANEL: ClassVar[str] = RUN

    caching: Caching
    verify_data: Annotated[
        bool,
        typer.Option(
            "--verify-data", help="Notice changed data by the content of all files, not by their sizes and times."
        ),
    ] = False

    def store(self) -> Store | None:
        """As `Caching.store`."""
        return self.caching.store(verify=self.verify_data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What is kept of predictions, and what decides them to the last bit."""

    PANEL: ClassVar[str] = RUN

    of_data: CachingOfData
    pin: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Pin what decides predictions to the last bit (batches, threads, versions, processor, models, data): "
            "as FILE has it, which is made where it is not there. By default pin.json in --cache DIR, if it is there.",
        ),
    ] = None

    def store(self) -> Store | None:
        """As `CachingOfData.store`."""
        return self.of_data.store()

    def pins(self, *, shard: bool = False) -> Pins | None:
        """By what a run is pinned; None where it is not. That of a ``shard`` is beside what it keeps, too.

        Raises:
            UsageError: a shard has no folder of its own to be kept in.
        """
        from prune_audit.evaluate.cache import PIN
        from prune_audit.evaluate.pin import Pins

        caching = self.of_data.caching
        if shard and (caching.cache is None or caching.no_cache):
            raise UsageError(
                "--shard: the predictions of a shard are what is kept of it, and no folder is named for them",
                hint="--cache DIR, a folder that all shards share, or one for each that `prune-audit cache --merge` "
                "puts together",
            )
        kept = None if caching.no_cache else caching.cache
        store = kept if kept is not None and (shard or (self.pin is None and (kept / PIN).exists())) else None
        return None if self.pin is None and store is None else Pins(file=self.pin, store=store)


def settings(outputs: Outputs, sample: Sample, running: Running) -> Settings:
    """How models are to run over data; statistics are as by default."""
    from prune_audit.core import Settings

    return Settings(
        seed=running.seed,
        limit=sample.limit,
        batch_size=running.batch_size,
        workers=running.workers,
        threads=running.machine.threads,
        device=running.machine.device,
        skip_bad=sample.skip_bad,
        allow_pickle=running.allow_pickle,
        drop_class=tuple(sample.drop_class or ()),
        scores=tuple(outputs.scores or ()),
        model_output=tuple(outputs.parts.model_output or ()),
        state_key=tuple(outputs.parts.state_key or ()),
        runtime=running.runtime,
        **running.engine.settings(),
        **running.isolation.settings(),
    )


# -------------------------------------------------------------------------------------------------------------- output


Thumbnails = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        help="Keep small pictures of N flipped images of each class and flow, for the HTML report.",
        rich_help_panel=OUTPUT,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Which reports are written."""

    PANEL: ClassVar[str] = OUTPUT

    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Write a report to this file; the suffix chooses the format; repeats. -o - is standard output, in "
            "place of the table, in the --format that is named.",
            autocompletion=complete.reports,
        ),
    ] = None
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="What -o - writes: json, csv, markdown, junit, sarif, github or another text of `list reports`.",
            autocompletion=complete.plugin("reports"),
        ),
    ] = None
    dialect: Dialect = None
    github: Annotated[
        bool, typer.Option("--github", help="Write annotations for GitHub Actions, and the job's summary.")
    ] = False

    def paths(self) -> list[Path]:
        """The files to write. Raises `AuditError` where one cannot be written, so that no long run is in vain."""
        from prune_audit import reports

        found = [path for path in self.output or () if path != STANDARD_OUTPUT]
        for path in found:
            reports.check_writable(path)
        return found

    def printed(self, *, one: bool = True) -> str | None:
        """The report that standard output takes in place of the table; ``one`` says that there is one audit to write.

        Raises:
            UsageError: no format is named, or one that is no text, or one with nowhere to go.
        """
        times = (self.output or []).count(STANDARD_OUTPUT)
        if not times:
            if self.form is not None:
                raise UsageError("--format says what -o - writes, and nothing goes there", hint="give -o -, too")
            return None
        if self.form is None:
            raise UsageError("-o - has no suffix that chooses a format", hint="name one, such as --format json")
        if times > 1 or not one:
            raise UsageError(
                "-o -: standard output takes one report of one audit", hint="write the others to files: -o audit.json"
            )
        from prune_audit import reports

        reports.check_text(self.form)
        return self.form

    def dialects(self) -> dict[str, str]:
        """Format -> the way in which its files are to be written, of ``FORMAT=NAME``."""
        return dialects(self.dialect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """Reports on disk, and those that a service takes."""

    PANEL: ClassVar[str] = OUTPUT

    reports: Reports
    log: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SERVICE",
            help="Service whose active run takes the numbers and reports: see `list logs`; repeats.",
            autocompletion=complete.plugin("logs"),
        ),
    ] = None

    def services(self, *, one: bool = True) -> tuple[str, ...]:
        """The services to write to, which are there; ``one`` says that there is one audit to write."""
        from prune_audit import logs

        if self.log and not one:
            raise UsageError(
                "--log writes one audit into a run, and --confirm makes two",
                hint="write them with -o audit.json, then: prune-audit check audit.confirm.json --log mlflow",
            )
        logs.check(self.log or ())
        return tuple(dict.fromkeys(self.log or ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is printed."""

    PANEL: ClassVar[str] = OUTPUT

    show_all: Annotated[bool, typer.Option("--all", help="Show every class, however many there are.")] = False
    quiet: Quiet = False


# -------------------------------------------------------------------------------------------------------------- values


def apart(outputs: Iterable[Path], read: Iterable[object]) -> None:
    """Refuse to write over a file that is read: of ``read``, what is a path. A folder is never one of ``outputs``."""
    inputs = [path for path in read if isinstance(path, Path) and path.exists()]
    for output in outputs:
        if output.exists() and any(output.samefile(path) for path in inputs):
            raise UsageError(f"{output} is read, and would be written over", hint="write to another name")


def of_source(source: DataSource | None) -> tuple[object, ...]:
    """What is read of data at ``source``, for `apart`."""
    return () if source is None else (source.path, source.classes, source.class_map, source.tokenizer)


def shard(text: str | None) -> Shard:
    """The part that ``I/N`` names, the only one where nothing is asked."""
    from prune_audit.core import WHOLE, Shard

    if text is None:
        return WHOLE
    number, slash, of = text.partition("/")
    whole = all(each.isdecimal() and len(each) < 10 for each in (number, of))  # Python reads none of thousands
    if not (slash and whole and 1 <= int(number) <= int(of)):
        raise UsageError(f"--shard: expected I/N with I from 1 to N, found {text!r}", hint="--shard 2/8")
    return Shard(number=int(number), of=int(of))


def dialects(values: list[str] | None, *formats: str) -> dict[str, str]:
    """Format -> the way in which its files are to be written, of ``FORMAT=NAME``; of these ``formats``, or of all."""
    if not values:
        return {}
    from prune_audit import reports

    known = {form: names for form, names in reports.dialects().items() if not formats or form in formats}
    chosen = {}
    for value in values:
        form, _, name = value.partition("=")
        if name not in known.get(form, ()):
            listed = ", ".join(f"{form}={name}" for form, names in known.items() for name in names)
            one_of = "one of " if ", " in listed else ""
            raise UsageError(f"--dialect: expected {one_of}{listed}, found {value!r}", hint="see --help")
        chosen[form] = name
    return chosen


def columns(text: str | None) -> tuple[str, ...]:
    """The names in a list with commas; blanks around them do not count."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def _size(option: str, text: str) -> int:
    """A number of bytes, such as 4GB or 512MiB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower())
    if found is None or found[2] not in _UNITS or not (size := int(float(found[1]) * _UNITS[found[2]])):
        raise UsageError(f"{option}: expected a size, found {text!r}", hint=f"for example {option} 4GB or 512MiB")
    return size


def points(option: str, value: float) -> float:
    """A drop given in points, as a share."""
    if not 0 <= value < 100:
        raise UsageError(f"{option}: expected points from 0 to 100, found {value:g}", hint="2 means two points")
    if 0 < value < 0.1:
        raise UsageError(
            f"{option}: expected points, 0 or from 0.1 on, found {value:g}, which looks like a share",
            hint=f"points, not shares: the share {value:g} is {100 * value:g} points, {option} {100 * value:g}",
        )
    return value / 100


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
