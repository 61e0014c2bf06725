"""What was computed, kept: in memory, on disk, and computed once however many ask. Keys contain versions and never expire."""
