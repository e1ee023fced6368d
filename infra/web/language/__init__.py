"""In which language the page speaks: what there is, which one a request gets, and what is said in it."""
