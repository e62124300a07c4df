"""Many files, one result each: in one process, in pieces under a scheduler, or on a Ray cluster."""
