"""Stored Jinja templates: kept in versions, rendered in a sandbox with a bound, their css inlined."""
