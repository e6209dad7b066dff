"""The worker: it loads the model and turns payloads into pictures."""
