"""What a further kind of head would give beside the one that the classifiers have."""
