"""The prior of DNPM: learned from the encoder, then against a discriminator."""
