"""Reads exported files with independent libraries, without Blender: python read_back.py FILE OUT.npz."""

import io
import sys
from pathlib import Path

import numpy as np


def read_usd(path: Path) -> dict[str, np.ndarray]:
    """Returns every mesh's points by time code and its texture coordinates, by Pixar's library."""
    from pxr import Usd, UsdGeom

    stage = Usd.Stage.Open(str(path))
    meshes = [prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    (mesh,) = meshes
    points = UsdGeom.Mesh(mesh).GetPointsAttr()
    times = points.GetTimeSamples() or [Usd.TimeCode.Default()]
    coordinates = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st") or UsdGeom.PrimvarsAPI(mesh).GetPrimvar("UVMap")
    return {
        "times": np.array(points.GetTimeSamples(), float),
        "points": np.stack([np.array(points.Get(time), np.float32) for time in times]),
        "places": np.stack(
            [np.array(UsdGeom.Xformable(mesh).ComputeLocalToWorldTransform(time)) for time in times]
        ),
        "counts": np.array(UsdGeom.Mesh(mesh).GetFaceVertexCountsAttr().Get()),
        "metres": np.array(UsdGeom.GetStageMetersPerUnit(stage)),
        "z_up": np.array(UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z),
        "fps": np.array(stage.GetTimeCodesPerSecond()),
        "uv": np.array(coordinates.Get(), np.float32),
    }


def read_gltf(path: Path) -> dict[str, np.ndarray]:
    """The face's mesh, morph targets, their animation and the materials' pictures, and its cards of hair.

    By pygltflib and Pillow. What belongs to cards begins with the part: `brows_positions` and so on.
    """
    from PIL import Image
    from pygltflib import GLTF2

    document = GLTF2().load(str(path))
    blob = document.binary_blob()
    kinds = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
    widths = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}

    def view(number: int, offset: int, kind, count: int) -> np.ndarray:
        place = document.bufferViews[number]
        assert not place.byteStride
        return np.frombuffer(blob, kind, count, (place.byteOffset or 0) + (offset or 0))

    def values(number: int) -> np.ndarray:
        accessor = document.accessors[number]
        width, kind = widths[accessor.type], kinds[accessor.componentType]
        found = np.zeros(accessor.count * width, kind)
        if accessor.bufferView is not None:
            found = view(accessor.bufferView, accessor.byteOffset, kind, found.size).copy()
        found = found.reshape(-1, width)
        sparse = accessor.sparse
        if sparse is not None:
            at = view(
                sparse.indices.bufferView,
                sparse.indices.byteOffset,
                kinds[sparse.indices.componentType],
                sparse.count,
            )
            found[at] = view(
                sparse.values.bufferView, sparse.values.byteOffset, kind, sparse.count * width
            ).reshape(-1, width)
        return found

    hair = {
        number: node.name.split()[-2].lower()
        for number, node in enumerate(document.nodes)
        if node.mesh is not None and node.name.endswith(" Cards")
    }
    (face,) = [n for n, node in enumerate(document.nodes) if node.mesh is not None and n not in hair]
    node = document.nodes[face]
    mesh = document.meshes[node.mesh]
    primitives = mesh.primitives
    sparse = sum(accessor.sparse is not None for accessor in document.accessors)
    skin = document.materials[primitives[0].material]

    def pixels(info, mode: str = "RGB") -> np.ndarray:
        """A texture's picture, row 0 at the bottom; empty where there is none."""
        if info is None:
            return np.zeros((0, 0, len(mode)), np.uint8)
        place = document.bufferViews[document.images[document.textures[info.index].source].bufferView]
        with Image.open(io.BytesIO(blob[place.byteOffset or 0 :][: place.byteLength])) as picture:
            return np.asarray(picture.convert(mode))[::-1]

    materials = [document.materials[item.material] for item in primitives]
    paint = [item.pbrMetallicRoughness for item in materials]
    found = {
        "colour": pixels(paint[0].baseColorTexture),
        "roughness": pixels(paint[0].metallicRoughnessTexture)[..., 1],
        "parts": pixels(paint[-1].baseColorTexture, "RGBA"),
        "painted": np.array([item.baseColorTexture is not None for item in paint]),
        "metallic": np.array([item.metallicFactor for item in paint]),
        "alpha_modes": np.array([item.alphaMode for item in materials]),
        "images": np.array(len(document.images)),
        "names": np.array(mesh.extras["targetNames"]),
        "weights": np.array(mesh.weights),
        "sparse": np.array(sparse),
        "normal_map": pixels(skin.normalTexture),
        "wrinkles": np.array((node.extras or {}).get("detailed3dmm_wrinkles", "")),
        "positions": np.concatenate([values(item.attributes.POSITION) for item in primitives]),
        "uv": np.concatenate([values(item.attributes.TEXCOORD_0) for item in primitives]),
        "targets": np.stack(
            [
                np.concatenate([values(item.targets[index]["POSITION"]) for item in primitives])
                for index in range(len(primitives[0].targets))
            ]
        ),
        "skin_count": np.array(document.accessors[primitives[0].attributes.POSITION].count),
    }
    for number, part in hair.items():
        item = document.nodes[number]
        (primitive,) = document.meshes[item.mesh].primitives
        material = document.materials[primitive.material]
        found[f"{part}_positions"] = values(primitive.attributes.POSITION)
        found[f"{part}_uv"] = values(primitive.attributes.TEXCOORD_0)
        found[f"{part}_picture"] = pixels(material.pbrMetallicRoughness.baseColorTexture, "RGBA")
        found[f"{part}_alpha"] = np.array(
            [material.alphaMode, str(material.alphaCutoff), str(material.doubleSided)]
        )
        found[f"{part}_is_child"] = np.array(number in (node.children or []))
        found[f"{part}_names"] = np.array((document.meshes[item.mesh].extras or {}).get("targetNames", []))
        found[f"{part}_targets"] = np.array(
            [values(target["POSITION"]) for target in primitive.targets or []]
        )
    found["hair"] = np.array(sorted(hair.values()))
    for animation in document.animations:
        for channel in animation.channels:
            sampler = animation.samplers[channel.sampler]
            owner = f"{hair[channel.target.node]}_" if channel.target.node in hair else ""
            found[f"{owner}{channel.target.path}_times"] = values(sampler.input)[:, 0]
            found[f"{owner}{channel.target.path}_values"] = values(sampler.output)
    return found


if __name__ == "__main__":
    source = Path(sys.argv[1])
    np.savez(sys.argv[2], **(read_gltf if source.suffix == ".glb" else read_usd)(source))
