"""The radiance field of a head: framing, the field itself, rays through it, what makes pictures of features."""
