"""The parts joined: files with their structure, nodes, arrays, documents, and ``store``, the one door to them."""
