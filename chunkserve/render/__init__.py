"""Values as pictures and other files: pure functions from arrays to bytes.

``style`` says how values become colours and reads it from a request, ``scales`` and ``palette`` are its tables,
``colour`` applies it, ``image`` and ``png`` write files, ``deepzoom`` does the arithmetic of OpenSeadragon's tiles.
``npy`` and ``tiff`` write the values themselves.
"""
