#!/usr/bin/env python3
"""Arrays as NumPy itself writes them, for tests/unit/test_npz.c.

    pip install numpy==2.4.6
    python3 tests/golden/make_npz_golden.py      # writes npz/ beside this script

What the test has to find in them stands there as numbers, and is the same as here.

    stored.npz, deflated.npz      np.savez and np.savez_compressed
    zip64.npz                     the same container with every field in its 64-bit form
    f64.npy f32.npy i64.npy bool.npy flat.npy    what our writer's entries must equal
    v2.npy                        version 2.0 of the format
    headers.bin                   per record i64: type (0 f8, 1 f4, 2 i8, 3 b1), n_dims, dims[4],
                                  n; then n bytes, NumPy's header for it
"""

import io
import os
import struct
import zipfile

import numpy as np
from numpy.lib import format as npy

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "npz")
WHOLE = np.array([[0, 1, 2], [3, 100, 127]])
REAL = np.array([[0.5, -1.25, np.nan], [np.inf, -np.inf, -0.0]])


def at(name):
    return os.path.join(HERE, name)


def arrays():
    """Everything that is read, by name, then everything that is refused."""
    named = {}
    for order in "<>":
        for kind in ("i8", "i4", "i2", "u8", "u4", "u2"):
            named[("little_" if order == "<" else "big_") + kind] = WHOLE.astype(order + kind)
        for kind in ("f8", "f4"):
            named[("little_" if order == "<" else "big_") + kind] = REAL.astype(order + kind)
    named["one_i1"], named["one_u1"] = WHOLE.astype("i1"), WHOLE.astype("u1")
    named["negative"] = np.array([-1, -128], "i1")
    named["flags"] = np.array([True, False, True])
    named["scalar"] = np.array(2.5)
    named["empty"] = np.zeros((0, 3))
    named["fortran2"] = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    named["fortran3"] = np.asfortranarray(np.arange(24, dtype=">i2").reshape(2, 3, 4))
    named["fortran4"] = np.asfortranarray(np.arange(16, dtype="u1").reshape(2, 1, 2, 4))
    named["five"] = np.zeros((1, 1, 1, 1, 1))
    named["objects"] = np.array([{}, None], dtype=object)
    named["complex"] = np.zeros(1, complex)
    named["half"] = np.zeros(1, "f2")
    named["text"] = np.array(["ab"])
    named["structures"] = np.zeros(1, dtype=[("a", "f4")])
    return named


def headers():
    shapes = [(0,), (7,), (10**12,), (5, 3), (1000000, 17), (2, 3, 4), (123456789, 1, 2, 3),
              (2**62, 2**62, 2**62, 2**62)]
    # Where the text ends at a multiple of 64 by itself, NumPy adds a whole 64.
    for n in range(1, 19):
        for m in range(1, 19):
            shapes.append((4, 10**n, 10**m))
    seen = set()
    for type_, descr in enumerate(("<f8", "<f4", "<i8", "|b1")):
        for shape in shapes:
            text = "{'descr': '%s', 'fortran_order': False, 'shape': %r, }" % (descr, shape)
            length = (10 + len(text) + 21 - len(str(shape[0])) + 1) % 64
            if len(shape) == 3 and (length not in (63, 0, 1) or (type_, length) in seen):
                continue
            if len(shape) == 3:
                seen.add((type_, length))
            out = io.BytesIO()
            npy.write_array_header_1_0(out, {"descr": descr, "fortran_order": False,
                                             "shape": shape})
            dims = list(shape) + [0] * (4 - len(shape))
            yield struct.pack("<7q", type_, len(shape), *dims, len(out.getvalue()))
            yield out.getvalue()


def main():
    os.makedirs(HERE, exist_ok=True)
    named = arrays()
    np.savez(at("stored.npz"), **named)
    few = ("little_f8", "big_f4", "flags", "fortran3", "empty", "objects")
    np.savez_compressed(at("deflated.npz"), zeros=np.zeros((40, 50)),
                        **{name: named[name] for name in few})
    zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = 0, 0
    np.savez(at("zip64.npz"), little_f8=named["little_f8"], flags=named["flags"])

    np.save(at("f64.npy"), np.arange(15.0).reshape(5, 3) / 8)
    np.save(at("f32.npy"), np.arange(8, dtype="f4").reshape(4, 1, 2) - 0.5)
    np.save(at("i64.npy"), np.arange(16).reshape(2, 2, 2, 2) * -(2**40))
    np.save(at("bool.npy"), np.array([[True, False], [False, True], [True, True]]))
    np.save(at("flat.npy"), np.arange(3.0) + 0.25)
    with open(at("v2.npy"), "wb") as out:
        npy.write_array(out, REAL, version=(2, 0))
    with open(at("headers.bin"), "wb") as out:
        out.writelines(headers())


main()
