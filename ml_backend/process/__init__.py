"""The backend process: protocol, client, worker and the handlers of its requests."""
