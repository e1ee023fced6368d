"""The page's languages: their catalogues, which one is chosen, and pages in German."""
