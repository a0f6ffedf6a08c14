"""``python -m prune_audit``, which is the console script but for one thing: Python puts the working directory first on
the import path, where a file beside somebody's models could stand in for a library. It is taken off before anything
else is imported; a model's factory puts it back for itself."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]

from prune_audit.cli import main

if __name__ == "__main__":
    main()
