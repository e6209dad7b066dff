"""A worker on the model: it turns orders into pictures."""
