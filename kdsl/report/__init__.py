"""A release and its nights as one page: pure rendering, no lake and no network."""
