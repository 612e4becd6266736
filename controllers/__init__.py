"""From HTTP or the command line to services and back. The web: web.py; the command line: cli/."""
