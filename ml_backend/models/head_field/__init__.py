"""The radiance field of a head: framing, the field, rays through it, and what draws their features."""
