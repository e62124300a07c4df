"""Steps that better the codes of a head by pieces of the picture: where they look, and the step itself."""
