"""A folder of images, one folder per class: val/<class>/**/*.{png,jpg,jpeg,bmp,webp,tif,tiff}."""

from __future__ import annotations

from prune_audit.core import Dataset, DataSource, Expects, Settings
from prune_audit.data import _folders, _hf, _images, _sound, _unsupported
from prune_audit.data._pixels import LATER, suffixes
from prune_audit.files import yolo


def recognises(source: DataSource) -> bool:
    """Whether it is a folder, and none of sounds, of labelled boxes, or a Hugging Face dataset."""
    path = source.path
    return path.is_dir() and not (_hf.is_folder(path) or _sound.is_folder(path) or yolo.is_data(path))


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:
    """The images below ``source.path``, in the order of their relative paths, which are their ids.

    Raises:
        DataError: there are no class folders, one is empty, or one is no class.
        AlignmentError: the images do not fit what was asked for or what the models expect.
        UsageError: something was asked for that a folder of images does not have, such as columns.
    """
    _unsupported.refuse(
        source,
        "a folder of images",
        has=("preprocess", "exif", *_unsupported.joined(source, expects)),
        but=("label_column",),
    )
    found = _folders.listed(source, expects, suffixes(), "image", "a CSV with path and label", LATER)
    return _images.dataset(
        source,
        expects,
        settings,
        classes=found.classes,
        labels=found.labels,
        ids=found.ids,
        files=found.files,
        groups={},
        exif=("ignore", "torchvision's ImageFolder"),
        notes=found.notes,
        assumptions=found.assumptions,
    )
