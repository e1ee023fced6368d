"""Rating codes without knowing whose they are: a lead begins and ends it, raters rate, a lead reads what came of it."""
