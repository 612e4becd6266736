"""Shapes of requests (pydantic models) and answers (JSON schemas)."""
