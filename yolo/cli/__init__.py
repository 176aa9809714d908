"""The command line: `main.py` holds the table of commands, one file each beside it."""
