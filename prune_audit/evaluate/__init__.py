"""The only place where a model runs over data to fill a table."""
