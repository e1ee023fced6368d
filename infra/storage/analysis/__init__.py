"""What a study comes to, counted over final codes: by code, by time, by attribute and by pairs of codes."""
