"""One thread for torch and the BLAS libraries: the tested networks are so small that threads wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
