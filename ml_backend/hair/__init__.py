"""Hair: roots on the face model's skin and strands grown there by fields of our own; numpy alone."""
