"""Commands in one process, one after the other, for `tests.fuzz`: a line of JSON asks, a line of JSON answers.

Descriptors are turned, not `sys.stdout`, so that what libraries print from C++ is caught as well. The peak of memory
is asked of the kernel for each command; addresses are not limited, since the library that draws charts reserves more of
them than the machine has.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from pathlib import Path


def main() -> None:
    """Answer until there is nothing more to read."""
    import typer.main

    from prune_audit.cli import _app, invoke

    answers = os.fdopen(os.dup(1), "w")
    # Each command is built once: that takes longer than to refuse a file.
    _app.build = functools.cache(_app.build)
    typer.main.get_command = functools.cache(typer.main.get_command)
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        job = json.loads(line)
        os.environ.pop("GITHUB_ACTIONS", None)
        os.environ.update(job["environment"])
        os.chdir(job["folder"])
        for descriptor, path in ((1, job["out"]), (2, job["err"])):
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(opened, descriptor)
            os.close(opened)
        before = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        code = invoke(job["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
        answers.write(json.dumps({"code": code, "memory": _memory("VmHWM") - before}) + "\n")
        answers.flush()


def _memory(what: str) -> int:
    found = re.search(rf"^{what}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10


if __name__ == "__main__":
    main()
