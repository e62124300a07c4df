"""Training of the residual on the exact decoder's drawing."""
