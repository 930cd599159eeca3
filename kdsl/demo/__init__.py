"""The made-up shop that `make demo` and the tests run on."""
