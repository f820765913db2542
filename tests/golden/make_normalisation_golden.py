#!/usr/bin/env python3
"""Print the numbers that tests/unit/test_normalisation.c expects, from Gymnasium's RunningMeanStd.

    pip install gymnasium==1.2.3 numpy
    python3 tests/golden/make_normalisation_golden.py

Transition k has observations ((37 k + 11 i) mod 23 - 9) 0.75 + i and reward ((13 k) mod 7 - 2) / 2.
Three fragments are consumed, of streams 0, 1, 0; transitions 2 and 9 end an episode, and the running
return (gamma 0.9) begins again behind them, as in Stable-Baselines3's VecNormalize."""

import numpy as np
from gymnasium.wrappers.utils import RunningMeanStd

N_OBS, GAMMA = 3, 0.9
FRAGMENTS = [(0, range(0, 4)), (1, range(4, 7)), (0, range(7, 12))]
ENDS = {2, 9}


def main():
    observations, returns = RunningMeanStd(shape=(N_OBS,)), RunningMeanStd(shape=())
    running = {0: 0.0, 1: 0.0}
    for stream, transitions in FRAGMENTS:
        observations.update(np.array(
            [[((k * 37 + i * 11) % 23 - 9) * 0.75 + i for i in range(N_OBS)] for k in transitions]))
        for k in transitions:
            running[stream] = GAMMA * running[stream] + (k * 13 % 7 - 2) * 0.5
            returns.update(np.array([running[stream]]))
            if k in ENDS:
                running[stream] = 0.0
    print("mean        ", *(f"{x:.9g}" for x in observations.mean))
    print("inverse std ", *(f"{x:.9g}" for x in 1 / np.sqrt(observations.var + 1e-8)))
    print("reward scale", f"{1 / np.sqrt(returns.var + 1e-8):.9g}")


if __name__ == "__main__":
    main()
