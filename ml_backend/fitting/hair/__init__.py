"""The hair that a photograph of a face shows."""
