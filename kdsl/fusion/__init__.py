"""From several voters to one answer: calibrated, weighted, never worse than the best part on held-out examples."""
