"""Coarser levels of arrays: which there are, and what a voxel of one is. Arrays in, arrays out."""
