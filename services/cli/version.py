"""The release that this command line belongs to. Imports nothing: `--version` must be instant."""

VERSION = "0.1.0"
