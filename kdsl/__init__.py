"""KDSL on Spark: label customer-service dialogues and pictures with rules and models that predict together."""

__version__ = "0.1.0"
