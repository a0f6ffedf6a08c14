"""The page in a real browser: Debian's chromium, headless. Skipped, visibly, where there is none."""
