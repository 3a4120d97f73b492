"""Many runs, many faults, one verdict."""
