"""The version of the product: shown by the API, the metrics and pyproject.toml."""

from __future__ import annotations

VERSION = "0.1.0"
