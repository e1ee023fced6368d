"""Jobs on a study's codebook."""
