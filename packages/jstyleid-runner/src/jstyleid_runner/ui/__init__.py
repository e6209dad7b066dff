"""The page of `jstyleid ui`: a tab a file, the queue of jobs, the loaded model, the server."""
