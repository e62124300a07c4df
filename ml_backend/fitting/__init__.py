"""From photographs to the model: landmarks, the fit of identity, expression, pose and camera, light, texture."""
