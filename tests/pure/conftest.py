"""One thread for torch and the BLAS libraries: in such small networks threads wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
