"""Settings of the whole suite."""

import torch

# the tensors of the tests are small: more threads would only wait for one another
torch.set_num_threads(1)
