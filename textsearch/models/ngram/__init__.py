"""N-gram language models: counted, smoothed, kept in sorted files, and asked as any causal model is."""
