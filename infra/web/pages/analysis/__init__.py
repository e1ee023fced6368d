"""Pages that count a study: codes by attribute, codes together, quotes; each as a file too."""
