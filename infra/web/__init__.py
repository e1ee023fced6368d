"""The page: people code segments and run the codebook. Server-rendered, nothing loaded from elsewhere."""
