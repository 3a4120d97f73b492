"""The words that cross a process: states, kinds, specs, envelopes, views."""
