"""``python -m prune_audit``."""

from prune_audit.cli import main

if __name__ == "__main__":
    main()
