"""Rules: the language, the engine that evaluates them by the thousand, and the search that learns them."""
