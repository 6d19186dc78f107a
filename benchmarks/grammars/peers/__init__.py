"""Other people's samplers, in an environment and a process of their own."""
