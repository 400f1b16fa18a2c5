"""One verb of the `alps` command a file, in the order of use."""
