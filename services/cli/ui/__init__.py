"""What a user sees: consoles, tables, bars, curves and the panel of an error."""
