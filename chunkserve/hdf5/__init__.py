"""libhdf5, fenced in: the only package that imports h5py, and only in reader processes.

``pool`` is the side that workers use; it talks to ``zygote``, which forks one process per open file to run ``tasks``.
"""
