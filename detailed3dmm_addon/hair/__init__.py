"""Hair curves that grow on a face and follow its skin."""
