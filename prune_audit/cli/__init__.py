"""The command line: the only floor that parses, prints, reads the environment and exits."""
