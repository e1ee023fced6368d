"""Rating studies in the page: raters judge codes without knowing whose they are, in their own order, and may stop."""
