"""One reader and one writer for each file format: tensors, networks, cards, maps, images, curves, faces, meshes."""
