"""What is replaced where something is written: files, networks, which may be folders, and folders of ours.

Everything that stays on disk is written through here. The rules:

- A path that a person named may be a link. It stays one to the new content, which replaces the file, or the empty
  folder, that it leads to.
- A path under a name of ours, in a folder that somebody else may have filled, is replaced itself: a link there would
  lead to any file of whoever runs this. No link to a folder is followed on the way to it, and none is replaced by a
  folder, since it may be meant: it is refused.
- A device, a pipe or a socket is never replaced, whoever named it, and no folder that holds anything.

What is being written lies beside its place, under the same name with a dot before and 32 digits behind it, and is
renamed: what is there is always whole. It is locked meanwhile, so that a later run can tell what a killed one left from
what is still at work, and removes that.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from prune_audit.errors import OutputError

_LOCKS = os.name == "posix"


def target(path: Path, *, named: bool = True, folders: bool = False) -> Path:
    """The file to put in place where ``path`` is written; with ``folders`` it may be an empty folder, too.

    Where a person ``named`` the path, a link stays one to the new content. A path in a folder that may have come from
    somebody else, under a name of ours, is replaced itself.

    Raises:
        OutputError: a device or a pipe is there, or a folder that must not be replaced.
    """
    # pathlib would raise where links lead in a circle, which is replaced.
    found = Path(os.path.realpath(path)) if named else path
    try:
        mode = found.lstat().st_mode
        full = stat.S_ISDIR(mode) and any(found.iterdir())
    except OSError:  # nothing is there, or whoever writes will hear why not
        return found
    if stat.S_ISDIR(mode) and not folders:
        raise OutputError(f"{path}: expected a file, found a folder", hint="give the name of a file")
    if full:
        raise OutputError(f"{path} is a folder that is there already", hint="remove it, or write elsewhere")
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode) and not stat.S_ISDIR(mode):
        raise OutputError(
            f"{path}: expected a file, found a device, a pipe or a socket",
            hint="give the name of a file, which is replaced",
        )
    return found


def folder(path: Path, *, within: Path | None = None) -> Path:
    """Make the folder ``path``, and those that it lies in, where there is none; ``within`` as in `check_inside`.

    Raises:
        OutputError: it cannot be made, or a link is on the way.
    """
    if within is not None:
        check_inside(path, within)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(
            f"{path} cannot be made: {fault.strerror or fault}", hint="write elsewhere, or see what is there"
        ) from fault
    return path


def check_inside(path: Path, within: Path) -> None:
    """Raise `OutputError` where a folder below ``within``, which others may have filled, down to ``path`` is a link."""
    at = within
    for part in path.relative_to(within).parts:
        at /= part
        if at.is_symlink():
            raise OutputError(
                f"{at} is a link, and none is followed there, since whoever made {within} chose where it leads",
                hint=f"remove it: rm {at}",
            )


def unlinked(path: Path) -> Path:
    """``path``, under a name of ours; a link there is removed, so that nothing is written to where it leads."""
    if path.is_symlink():
        path.unlink()
    return path


def remove(path: Path) -> None:
    """Remove the file or link at ``path``; what is neither is none of ours, and stays."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path, *, named: bool = True) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of ``path`` at the end, and is removed where something is raised.

    Raises:
        OutputError: as `target`.
        OSError: it cannot be written.
    """
    place = target(path, named=named)
    if named:
        sweep(place)
    with _beside(place, lambda at: at.touch(exist_ok=False)) as temporary:
        try:
            with temporary.open("r+b") as file:
                yield file
            temporary.replace(place)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have ``folder``, which is there, to oneself among processes that ask so; where disks can lock, that is."""
    with ExitStack() as stack:
        with suppress(OSError):
            if _LOCKS:
                import fcntl

                descriptor = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def probe(path: Path) -> None:
    """Raise `OSError` where no file can be made beside ``path``."""
    with _beside(path, lambda at: at.touch(exist_ok=False)) as made:
        made.unlink()


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A folder from which what was made for ``path`` can be moved there (`move`); it is removed at the end.

    Raises:
        OutputError: as `target`, or no folder can be made beside ``path``.
    """
    place = target(path, folders=True)
    sweep(place)
    with ExitStack() as stack:
        try:
            made = stack.enter_context(_beside(place, lambda at: at.mkdir(0o700)))
        except OSError as fault:
            raise unwritable(path, fault) from fault
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def move(made: Path, path: Path) -> None:
    """Put the file or folder ``made`` in the place of ``path``, and what lies beside it beside that, under its names.

    All is looked at before anything is moved; ``made`` comes last, so that what it refers to is there.

    Raises:
        OutputError: as `target`; or what needs files beside it is to be written where a link leads, to another folder.
    """
    others = sorted(each for each in made.parent.iterdir() if each != made)
    place = target(path, folders=made.is_dir())
    if others and place.parent != Path(os.path.realpath(path.parent)):
        raise OutputError(
            f"{path} is a link to another folder, and this network is of several files, which must lie together",
            hint=f"name the file that it leads to: {place}",
        )
    if made.is_dir() and place.is_file():
        raise OutputError(f"{path}: expected a folder, found a file", hint="remove it, or write elsewhere")
    places = [target(path.parent / each.name, named=False) for each in others]
    try:
        for each, where in (*zip(others, places, strict=True), (made, place)):
            each.replace(where)
    except OSError as fault:
        raise unwritable(path, fault) from fault


def unwritable(path: Path, fault: OSError) -> OutputError:
    """The error for a file that cannot be written, because of ``fault``."""
    return OutputError(
        f"{path} cannot be written: {fault.strerror or fault}", hint="name a file in a folder that may be written"
    )


def sweep(path: Path) -> None:
    """Remove what killed runs left of what was to become ``path``, or a file whose name begins with its own and a dot.

    That is a file or folder of this user, under the name that such have here, which no living process has locked. Where
    nothing can be locked, nothing is removed.
    """
    own = re.compile(rf"\.{re.escape(path.name)}(\..+)?-[0-9a-f]{{32}}", re.DOTALL)
    with suppress(OSError):
        for found in [each for each in path.parent.iterdir() if own.fullmatch(each.name)]:
            _sweep(found)


def _sweep(path: Path) -> None:
    with suppress(OSError):
        how = path.lstat()
        kind = stat.S_IFMT(how.st_mode)
        if not _LOCKS or how.st_uid != os.geteuid() or kind not in (stat.S_IFREG, stat.S_IFDIR):
            return
        with _locked(path) as mine:
            if mine and kind == stat.S_IFDIR:
                shutil.rmtree(path, ignore_errors=True)
            elif mine:
                path.unlink(missing_ok=True)


@contextmanager
def _beside(place: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """What ``make`` makes beside ``place``, locked until the end."""
    while True:
        path = place.with_name(f".{place.name}-{uuid.uuid4().hex}")
        make(path)
        with ExitStack() as stack:
            # Another run may have taken it for one of the dead before it was locked.
            with suppress(OSError):
                stack.enter_context(_locked(path))
            if path.exists():
                yield path
                return


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether ``path``, and no link there, is now locked by this process; some systems and disks lock nothing."""
    if not _LOCKS:
        yield False
        return
    import fcntl

    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
