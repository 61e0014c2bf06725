"""What was computed, kept: in memory and on disk, made once however many ask. Keys contain versions, never expire."""
