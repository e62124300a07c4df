"""Skin colour from photographs: what a photo shows of it, how light it is, the fit."""
