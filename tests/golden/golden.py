"""What the scripts beside this one share: how rows end, numbers that a float program can start from, and
the files that golden.c reads."""

import json
import os
import struct

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
STEP, TERMINATED, TRUNCATED, CLOSE = 0, 1, 2, 3    # a row's kind, its last number


def float32(x):
    """Rounded to float32, kept as float64."""
    return np.asarray(x, dtype=np.float32).astype(np.float64)


def draw_rows(rng, B, n_obs, n_act, kinds, mean_reward=0):
    """[B][2][stride]: transitions of these kinds, each at least once, and what follows them."""
    rows = rng.normal(0, 1, (B, 2, n_obs + n_act + 3))
    rows[:, :, n_obs:n_obs + n_act] = rng.uniform(-1, 1, (B, 2, n_act))
    rows[:, :, n_obs + n_act] += mean_reward
    rows[:, 0, -1] = rng.choice(kinds, B)
    rows[:len(kinds), 0, -1] = kinds
    # The successor's own kind must not matter.
    rows[:, 1, -1] = rng.choice([STEP, TERMINATED, TRUNCATED, CLOSE], B)
    return float32(rows)


def write(name, tensors, **metadata):
    """<name>.safetensors beside this file: u64 header length, JSON header, raw little-endian float64.
    `metadata` says what the numbers come from, the seed and PyTorch's version."""
    header, blobs, offset = {"__metadata__": {k: str(v) for k, v in metadata.items()}}, [], 0
    for key, value in tensors.items():
        if hasattr(value, "detach"):    # PyTorch's
            value = value.detach().numpy()
        assert np.isfinite(value).all(), key
        blob = np.ascontiguousarray(value, dtype="<f8").tobytes()
        header[key] = {"dtype": "F64", "shape": list(np.shape(value)),
                       "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path = os.path.join(HERE, f"{name}.safetensors")
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    print(path, os.path.getsize(path), "bytes")
