"""From the model to Zarr documents: names, keys, types, values, dimensions, layouts. Pure functions."""
