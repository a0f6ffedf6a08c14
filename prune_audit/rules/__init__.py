"""`Comparison` to `Check`s: a policy rule is a file here.

A plugin defines ``DEFAULT``, the `RuleSetting` of the default policy, and
``check(comparison, setting) -> tuple[Check, ...]``.
"""
