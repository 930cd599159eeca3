"""Readers of the formats users bring, line by line, without Spark."""
