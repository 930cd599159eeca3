"""Voters: models that turn items into log-probabilities over a task's labels."""
