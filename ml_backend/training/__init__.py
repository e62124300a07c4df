"""Training: one file for each network, and the loop, stages and checkpoints that all share."""
