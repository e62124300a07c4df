"""The appearance of a face: materials, camera and lights."""
