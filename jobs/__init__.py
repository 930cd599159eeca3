"""The command-line jobs: parse, read, call, write."""
