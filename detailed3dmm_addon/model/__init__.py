"""The face model as Blender sees it: arrays, registered faces, ARKit names and groups."""
