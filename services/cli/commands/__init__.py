"""One module per group of commands; loaded only when its command is called (see `services/cli/lazy.py`)."""
