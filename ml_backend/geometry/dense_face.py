"""The face at display density: its skin refined twice, its other parts once."""

from .subdivision import DenseMesh, build_dense_mesh

SKIN_LEVELS, OTHER_LEVELS = 2, 1


def dense_face_mesh(face) -> DenseMesh:
    """Refines a face model's mesh.

    Args:
        face: a `BilinearFace`; its first part is the skin.

    Returns:
        The dense mesh, at least 60,000 vertices for the default face.
    """
    levels = [SKIN_LEVELS if name == "skin" else OTHER_LEVELS for name in face.part_names]
    return build_dense_mesh(face.polygons, face.polygon_part, face.uv, face.uv_polygons, levels)
