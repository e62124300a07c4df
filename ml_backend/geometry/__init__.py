"""Mathematics of meshes and texture space, without parameters."""
