"""Speech without networks: phones, lip shapes, coarticulation, synthesised training speech, procedural motion."""
