"""Writes the cases that torch_test.cpp compares the engine with. Run by hand, with PyTorch and numpy:

    python make_cases.py [FAMILY ...]

Building and testing need the written files only. What may differ is said by Family.add in recorder.py.
"""

import os
import sys

import torch

from recorder import *
import recorder
import complexes
import elementwise
import moves
import products
import quantized
import reductions
import sequences
import windows

MODULES = [elementwise, reductions, products, windows, moves, sequences, quantized, complexes]


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for module in MODULES:
        recorder.random.bit_generator.state = np.random.default_rng(20261125).bit_generator.state
        for family in module.families():
            if not sys.argv[1:] or family.name in sys.argv[1:]:
                family.write(folder)
                print(family.name, len(family.cases), "cases")


if __name__ == "__main__":
    main()
