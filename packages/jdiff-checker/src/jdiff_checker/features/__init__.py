"""From image files to what the metrics compare: decoding, embedding, remembering."""
