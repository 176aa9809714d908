"""Command line: `main.py` has the table of commands, each of which is a file of this folder."""
