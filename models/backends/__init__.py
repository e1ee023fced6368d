"""The only home of torch: coders, moderators and embedders that run, or call, a real model."""
