"""Where real and fake are chosen, and nowhere else: settings and profile in, models and stores out."""
