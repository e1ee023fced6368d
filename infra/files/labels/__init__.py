"""Files of labels: whose codes for which text, as people and other tools write them."""
