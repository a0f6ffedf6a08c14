"""Which way of pruning harms whom: many runs over seeds, densities and methods, and the tests across them.

An audit answers for two checkpoints: would these do the same on other samples? A study answers for the procedure:
would pruning like this, started anew, do the same? Its unit is the seed, so it trains, prunes and audits again and
again, and compares the outcomes after the protocol of Good et al. 2022 (arXiv 2206.02976).

`plan` reads what is to be run, `running` runs it, `results` are the runs on disk and as data frames, `analysis` turns
those into `tables`, and `page` shows them.
"""
