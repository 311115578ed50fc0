"""Models of providers, one file for each package that is needed."""
