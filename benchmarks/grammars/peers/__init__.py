"""Other people's samplers beside ours: one model, the same prompts and languages, each job a process with a limit."""
