"""One module per task that a button or a shell command starts."""
