"""ALP shards and masks in, open-vocabulary instance segmentation out."""

import os

# torch's threads wait for one another thousands of times a step. Spinning as they wait, which is their
# default, makes a step ten times slower as soon as another program wants one of the cores; sleeping
# costs nothing measurable on an idle machine. It has to be said before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
