"""The backend process and its Python: interpreter, managed environment, preferences, jobs."""
