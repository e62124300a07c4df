"""Everything that leaves Blender: meshes, maps, textures, curves."""
