"""Language models: protocols, adapters for transformers, and the default models."""
