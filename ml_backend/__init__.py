"""Everything about faces that does not need Blender: models, simulation, speech, the worker and the shell."""
