"""From photographs to the model: landmarks, identity, expression, pose, camera, light and texture."""
