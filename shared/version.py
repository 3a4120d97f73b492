"""The version of this release: one number for all services, the chart and the command line."""

VERSION = "0.1.0"
