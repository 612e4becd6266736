"""Bringing the mail of an account here. One verb a file; `passes.run` is one pass over an account."""
