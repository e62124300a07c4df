"""The camera of a video: the video behind the face, and the face over the actor's at every frame."""

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix, Quaternion

from ...ml_backend.files.take_file import Take
from ...ml_backend.video.formats import is_sequence, sequence_of
from ..actions.action_writer import Bake, scene_fps
from ..actions.movie_strip import TAG, Footage
from ..model.scene_units import units_per_metre

_SENSOR = 36.0
_AXES = Matrix(((1, 0, 0, 0), (0, -1, 0, 0), (0, 0, -1, 0), (0, 0, 0, 1)))
"""Pictures count down and away, Blender's cameras up and back."""
_BEFORE = "d3dmm_before"
_ACTION = "{} Camera"


@dataclass(frozen=True)
class VideoCamera:
    """A camera that follows the head of a take, from the side of the face.

    Attributes:
        take: with head and camera.
        footage: the video as the scene plays it.
        shift: seconds by which the motion comes later than the picture.
        tag: identifier of the face's clips.
    """

    take: Take
    footage: Footage
    shift: float
    tag: str

    def add(self, scene: bpy.types.Scene, face: bpy.types.Object, turns: np.ndarray) -> str:
        """Adds the camera as the scene's, with the video behind the face; renders take the video's shape.

        Args:
            scene: receives the camera.
            face: whose place the camera is seen from.
            turns: (T, 3) rotations about X, Y and Z that the face is keyed to, radians.

        Returns:
            A sentence on what could not be done, or an empty string.
        """
        image = self._image()
        if image is None:
            return "no camera: this Blender cannot open the video"
        width, height = (max(1, round(self.take.camera[name])) for name in ("width", "height"))
        data = bpy.data.cameras.new(f"{self.footage.path.stem} Camera")
        camera = bpy.data.objects.new(data.name, data)
        scene.collection.objects.link(camera)
        self._describe(scene, data, width, height)
        camera[TAG] = self.tag
        camera[_BEFORE] = {
            "camera": scene.camera.name if scene.camera is not None else "",
            "width": scene.render.resolution_x,
            "height": scene.render.resolution_y,
        }
        camera.rotation_mode = "QUATERNION"
        bake = Bake(self.footage.path.stem, self.footage.first_frame)
        bake.write(camera, _ACTION, {"camera": self._path(scene, face, turns)})
        self._show(scene, data, image, len(turns))
        render = scene.render
        render.resolution_x, render.resolution_y = width, height
        render.pixel_aspect_x = render.pixel_aspect_y = 1.0
        scene.camera = camera
        return ""

    def _describe(self, scene: bpy.types.Scene, data: bpy.types.Camera, width: int, height: int) -> None:
        metre = units_per_metre(scene)
        longer = max(width, height)
        data.sensor_fit = "AUTO"
        data.sensor_width = _SENSOR
        data.lens = _SENSOR * self.take.camera["focal"] / longer
        data.shift_x = (width / 2 - self.take.camera["column"]) / longer
        data.shift_y = (self.take.camera["row"] - height / 2) / longer
        data.clip_start = 0.01 * metre
        data.clip_end *= metre
        data.display_size *= metre

    def _path(self, scene: bpy.types.Scene, face: bpy.types.Object, turns: np.ndarray) -> dict:
        """Returns curves of the camera's place and rotation: the face stays, the camera moves about it."""
        fps = scene_fps(scene)
        moments = np.clip(np.arange(len(turns)) / fps - self.shift, 0, self.take.seconds[-1])
        rotations, places = _poses_at(self.take, moments)
        place, world, scale = face.matrix_world.decompose()
        parent = world.to_matrix() @ face.rotation_euler.to_matrix().inverted()
        columns = np.empty((len(turns), 7), np.float32)
        last = None
        for row, (turn, rotation, translation) in enumerate(zip(turns, rotations, places, strict=True)):
            turned = face.rotation_euler.copy()
            turned[:] = turn
            rotated = (parent @ turned.to_matrix()).to_quaternion()
            stands = Matrix.LocRotScale(place, rotated, scale)
            to_camera = Matrix.LocRotScale(translation.tolist(), rotation, None)
            where, towards, _ = (stands @ to_camera.inverted() @ _AXES).decompose()
            if last is not None and towards.dot(last) < 0:
                towards.negate()
            last = towards
            columns[row] = (*where, *towards)
        curves = {("location", axis): columns[:, axis] for axis in range(3)}
        return curves | {("rotation_quaternion", index): columns[:, 3 + index] for index in range(4)}

    def _image(self) -> bpy.types.Image | None:
        path = self.footage.path
        pictures = sequence_of(path) if is_sequence(path) else []
        try:
            image = bpy.data.images.load(str(pictures[0] if pictures else path))
        except RuntimeError:
            return None
        if not pictures and (image.source != "MOVIE" or not min(image.size)):
            bpy.data.images.remove(image)
            return None
        image.source = "SEQUENCE" if pictures else "MOVIE"
        image[TAG] = self.tag
        return image

    def _show(
        self, scene: bpy.types.Scene, data: bpy.types.Camera, image: bpy.types.Image, count: int
    ) -> None:
        """Puts the video behind the face; its frames are keyed, since Blender would play one a frame."""
        data.show_background_images = True
        behind = data.background_images.new()
        behind.source = "IMAGE"
        behind.image = image
        behind.alpha = 1.0
        behind.display_depth = "BACK"
        behind.frame_method = "FIT"
        user = behind.image_user
        user.frame_start = self.footage.first_frame
        user.frame_duration = max(count, 1)
        user.use_auto_refresh = True
        fps = scene_fps(scene)
        if image.source == "SEQUENCE":
            pictures = sequence_of(self.footage.path)
            rate, number = fps, _number_of(pictures[0].stem)
        else:
            clip = bpy.data.movieclips.load(str(self.footage.path))
            rate, number = float(clip.fps) or fps, 1
            bpy.data.movieclips.remove(clip)
        moments = self.footage.start + np.arange(count) * self.footage.pace / fps
        shown = np.floor(moments * rate + 1e-3) + number - (np.arange(count) + 1)
        path = ("background_images[0].image_user.frame_offset", 0)
        bake = Bake(self.footage.path.stem, self.footage.first_frame)
        bake.write(data, _ACTION, {"picture": {path: shown.astype(np.float32)}})


def remove_cameras(scene: bpy.types.Scene, tag: str) -> bool:
    """Removes the cameras that carry a tag, with their pictures; scene camera and size are put back.

    Returns:
        True if there was one.
    """
    cameras = [item for item in bpy.data.objects if item.type == "CAMERA" and item.get(TAG) == tag]
    for camera in cameras:
        if scene.camera == camera:
            before = camera[_BEFORE]
            scene.camera = bpy.data.objects.get(before["camera"])
            scene.render.resolution_x, scene.render.resolution_y = before["width"], before["height"]
        data = camera.data
        images = {behind.image for behind in data.background_images if behind.image is not None}
        actions = {
            owner.animation_data.action
            for owner in (camera, data)
            if owner.animation_data is not None and owner.animation_data.action is not None
        }
        bpy.data.objects.remove(camera)
        if not data.users:
            bpy.data.cameras.remove(data)
        for image in images:
            if not image.users and image.get(TAG) == tag:
                bpy.data.images.remove(image)
        for action in actions:
            if not action.users:
                bpy.data.actions.remove(action)
    return bool(cameras)


def _poses_at(take: Take, moments: np.ndarray) -> tuple[list[Quaternion], np.ndarray]:
    """Returns the head's rotation and translation (T, 3) in metres at some seconds of a take."""
    turns = [Matrix(rotation.tolist()).to_quaternion() for rotation in take.rotation]
    at = np.interp(moments, take.seconds, np.arange(len(take.seconds)))
    rotations = []
    for place in at:
        low = min(int(place), len(turns) - 1)
        high = min(low + 1, len(turns) - 1)
        rotations.append(turns[low].slerp(turns[high], float(place) - low))
    places = np.stack([np.interp(moments, take.seconds, column) for column in take.translation.T], 1)
    return rotations, places


def _number_of(stem: str) -> int:
    """Returns the last number in a picture's name, 1 without one."""
    digits = "".join(letter if letter.isdigit() else " " for letter in stem).split()
    return int(digits[-1]) if digits else 1
