"""Where the weights of models come from: folders, hubs, the default models, small formats."""
