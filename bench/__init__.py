"""Measurements: each module prints ratios of things run side by side in one run, JSON last."""
