"""Engine of a run: preflight checks, the loop over its stages, recovery from non-finite losses."""
