"""The mouth of the bilinear face."""
