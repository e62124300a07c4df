"""Skin colour measured: lit people, the fit to photos, real photos."""
